"""The client-credentials grant: a signed assertion instead of a code (RFC 7523)."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from persona_share.errors import ConfigurationError
from persona_share.sandbox.jsonapi.body import check, read_form
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.grants import CLIENT_CREDENTIALS_PREFIX, Token
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import OAuthClient, State


ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: The lifetime of its tokens, announced in full.
LIFETIME: Final = 900
#: The farthest that ``exp`` may lie in the future.
MAX_ASSERTION_LIFETIME: Final = 300.0
#: How far the two clocks may differ.
LEEWAY: Final = 5.0

_PARAMETERS: Final = ("grant-type", "client-assertion-type", "client-assertion")


def check_public_key(pem: str) -> None:
    """Refuse a key that could never verify anything.

    Raises:
        ConfigurationError: where joserfc is missing or the key cannot be read.
    """
    try:
        from joserfc import jwk  # noqa: PLC0415 - an optional dependency
        from joserfc.errors import JoseError  # noqa: PLC0415 - an optional dependency
    except ImportError:
        message = "the client-credentials grant needs joserfc: persona-share[m2m]"
        raise ConfigurationError(message) from None
    for kind in ("RSA", "EC"):
        try:
            jwk.import_key(pem, kind)
        except (ValueError, JoseError):
            continue
        return
    message = "the public key must be an RSA or EC key in PEM form"
    raise ConfigurationError(message)


def claimed_client(state: State, request: Request) -> OAuthClient | None:
    """Return the client that an assertion names, before anybody has verified it."""
    try:
        form = read_form(request.body, request.headers)
    except ApiError:
        return None
    if form.get("grant-type") != "client_credentials":
        return None
    return state.clients.get(_claimed_issuer(form.get("client-assertion", "")))


def client_credentials_token(state: State, form: Mapping[str, str]) -> Token:
    """Return a new token for the client of a good assertion.

    Raises:
        ApiError: 400 for a bad form or scope; the switch's status for a bad assertion.
    """
    check(form, required=_PARAMETERS, optional=("scope",))
    if form["client-assertion-type"] != ASSERTION_TYPE:
        raise ApiError(400, "client_assertion_type is not supported")
    assertion = form["client-assertion"]
    client = state.clients.get(_claimed_issuer(assertion))
    if client is None:
        raise _error_response(state, "the client is not known")
    _check_claims(state, client, _verified(state, client, assertion))
    names = form.get("scope", "").split() or client.permissions
    if not set(names) <= set(client.permissions):
        raise ApiError(400, "scope names a permission that the client does not have")
    now = state.runtime.now()
    value = state.runtime.new_secret(CLIENT_CREDENTIALS_PREFIX, 34)
    mine = client.environment
    scope = " ".join(names)
    digest, atoms = state.runtime.digest(value), frozenset(names)
    end = now + LIFETIME + state.switches.lifetime_slack
    return Token(value, digest, scope, atoms, mine, mine, now, end)


def _error_response(state: State, why: str) -> ApiError:
    return ApiError(state.switches.bad_assertion_status, why)


def _claimed_issuer(assertion: str) -> str:
    """Read ``iss`` without trusting it."""
    from joserfc.errors import JoseError  # noqa: PLC0415 - an optional dependency
    from joserfc.jws import extract_compact  # noqa: PLC0415 - an optional dependency

    try:
        claims = orjson.loads(extract_compact(assertion.encode()).payload)
    except (JoseError, ValueError):
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def _verified(state: State, client: OAuthClient, assertion: str) -> dict[str, Any]:
    from joserfc import jwk, jwt  # noqa: PLC0415 - an optional dependency
    from joserfc.errors import JoseError  # noqa: PLC0415 - an optional dependency

    for kind, algorithm in (("RSA", "RS256"), ("EC", "ES256")):
        try:
            key = jwk.import_key(client.public_key, kind)  # type: ignore[call-overload]  # one overload a literal
        except JoseError:
            continue
        try:
            return dict(jwt.decode(assertion, key, algorithms=[algorithm]).claims)
        except (JoseError, ValueError):
            break
    raise _error_response(state, "the assertion's signature does not verify")


def _check_claims(state: State, client: OAuthClient, claims: dict[str, Any]) -> None:
    now = state.runtime.now()
    audiences = claims.get("aud")
    named = audiences if isinstance(audiences, list) else [audiences]
    known = {f"{state.url}/oauth/token", *state.switches.audiences}
    if claims.get("iss") != client.id or claims.get("sub") != client.id:
        raise _error_response(state, "iss and sub must both be the client's id")
    if known.isdisjoint(each for each in named if isinstance(each, str)):
        raise _error_response(state, "aud must be the URL of the token endpoint")
    _check_times(state, claims, now)
    _check_once(state, client, claims, now)


def _check_times(state: State, claims: dict[str, Any], now: float) -> None:
    begins, ends = claims.get("iat"), claims.get("exp")
    if not isinstance(begins, int | float) or begins > now + LEEWAY:
        raise _error_response(state, "iat must be a time that is not in the future")
    if not isinstance(ends, int | float) or ends <= now - LEEWAY:
        raise _error_response(state, "the assertion has expired")
    if ends > now + MAX_ASSERTION_LIFETIME + LEEWAY:
        raise _error_response(state, "exp may be five minutes from now at most")


def _check_once(
    state: State, client: OAuthClient, claims: dict[str, Any], now: float
) -> None:
    name = claims.get("jti")
    if not isinstance(name, str) or not name:
        raise _error_response(state, "jti is missing")
    for old, until in list(client.seen.items()):
        if until <= now:
            del client.seen[old]
    if name in client.seen and state.switches.jti_is_single_use:
        raise _error_response(state, "this jti was used before")
    client.seen[name] = float(claims["exp"]) + LEEWAY
