"""``POST /oauth/authorize`` and ``POST /oauth/token``, with both grants."""

from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from persona_share.errors import ConfigurationError, MissingExtraError
from persona_share.model.ids import is_id
from persona_share.sandbox.behavior.switches import drop_oldest
from persona_share.sandbox.jsonapi.body import check, read_form
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.rendering import json_response
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.grants import (
    CLIENT_CREDENTIALS_PREFIX,
    TOKEN_PREFIX,
    Code,
    Token,
    announced,
)
from persona_share.sandbox.state.organizations import (
    PERMISSIONS,
    Environment,
    count_quota,
)
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import OAuthClient, State


ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: The lifetime of tokens of the client-credentials grant; it is announced in full.
LIFETIME: Final = 900
#: The maximum time until ``exp``, in seconds.
MAX_ASSERTION_LIFETIME: Final = 300.0
#: The tolerated difference of the clocks, in seconds.
LEEWAY: Final = 5.0

_PARAMETERS: Final = ("grant-type", "client-assertion-type", "client-assertion")


def check_public_key(pem: str) -> None:
    """Refuse a key that cannot verify signatures.

    Raises:
        MissingExtraError: joserfc is not installed.
        ConfigurationError: the key cannot be read.
    """
    try:
        from joserfc import jwk  # noqa: PLC0415 - an optional dependency
        from joserfc.errors import JoseError  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        grant = "the client-credentials grant"
        raise MissingExtraError.of(error, grant, "m2m") from None
    for kind in ("RSA", "EC"):
        try:
            jwk.import_key(pem, kind)
        except (ValueError, JoseError):
            continue
        return
    message = "the public key must be an RSA or EC key in PEM form"
    raise ConfigurationError(message)


def claimed_client(state: State, request: Request) -> OAuthClient | None:
    """Return the client in an unverified assertion."""
    try:
        form = read_form(request.body, request.headers)
    except ApiError:
        return None
    if form.get("grant-type") != "client_credentials":
        return None
    return state.clients.get(_claimed_issuer(form.get("client-assertion", "")))


def client_credentials_token(state: State, form: Mapping[str, str]) -> Token:
    """Return a new token for the client of a valid assertion.

    Raises:
        ApiError: 400 for a bad form or scope; the switch's status for a bad assertion.
    """
    check(form, required=_PARAMETERS, optional=("scope",))
    if form["client-assertion-type"] != ASSERTION_TYPE:
        raise ApiError(400, "client_assertion_type is not supported")
    assertion = form["client-assertion"]
    client = state.clients.get(_claimed_issuer(assertion))
    if client is None:
        raise _assertion_error(state, "the client is not known")
    _check_claims(state, client, _verified(state, client, assertion))
    names = form.get("scope", "").split() or client.permissions
    if not set(names) <= set(client.permissions):
        raise ApiError(400, "scope names a permission that the client does not have")
    now = state.runtime.now()
    value = state.runtime.new_secret(CLIENT_CREDENTIALS_PREFIX, 34)
    environment = client.environment
    scope = " ".join(names)
    digest, atoms = state.runtime.digest(value), frozenset(names)
    expires_at = now + LIFETIME + state.switches.lifetime_slack
    return Token(value, digest, scope, atoms, environment, environment, now, expires_at)


def _assertion_error(state: State, details: str) -> ApiError:
    return ApiError(state.switches.bad_assertion_status, details)


def _claimed_issuer(assertion: str) -> str:
    """Return ``iss`` of an unverified assertion."""
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
    raise _assertion_error(state, "the assertion's signature does not verify")


def _check_claims(state: State, client: OAuthClient, claims: dict[str, Any]) -> None:
    now = state.runtime.now()
    audiences = claims.get("aud")
    named = audiences if isinstance(audiences, list) else [audiences]
    known = {f"{state.url}/oauth/token", *state.switches.audiences}
    if claims.get("iss") != client.id or claims.get("sub") != client.id:
        raise _assertion_error(state, "iss and sub must both be the client's id")
    if known.isdisjoint(each for each in named if isinstance(each, str)):
        raise _assertion_error(state, "aud must be the URL of the token endpoint")
    _check_times(state, claims, now)
    _check_once(state, client, claims, now)


def _check_times(state: State, claims: dict[str, Any], now: float) -> None:
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int | float) or issued_at > now + LEEWAY:
        raise _assertion_error(state, "iat must be a time that is not in the future")
    if not isinstance(expires_at, int | float) or expires_at <= now - LEEWAY:
        raise _assertion_error(state, "the assertion has expired")
    if expires_at > now + MAX_ASSERTION_LIFETIME + LEEWAY:
        raise _assertion_error(state, "exp may be five minutes from now at most")


def _check_once(
    state: State, client: OAuthClient, claims: dict[str, Any], now: float
) -> None:
    name = claims.get("jti")
    if not isinstance(name, str) or not name:
        raise _assertion_error(state, "jti is missing")
    for old, until in list(client.seen.items()):
        if until <= now:
            del client.seen[old]
    if name in client.seen and state.switches.jti_is_single_use:
        raise _assertion_error(state, "this jti was used before")
    client.seen[name] = float(claims["exp"]) + LEEWAY
    drop_oldest(client.seen, state.limits.credentials)


def authorize(state: State, request: Request) -> Response:
    """Issue a code to a partner organization for named objects of the caller."""
    quota = _count_request(state, request, "create_authorization")
    form = read_form(request.body, request.headers)
    check(form, required=("client-id", "response-type", "scope"))
    if form["response-type"] != "code":
        raise ApiError(400, "response_type must be code")
    if form["client-id"] not in state.organizations:
        status = state.switches.unknown_client_status
        raise ApiError(status, "client_id is not found")
    caller = request.caller
    scope = requested_scope(state, form["scope"], caller.environment)
    if caller.token is not None and not caller.token.atoms.issuperset(scope.split()):
        raise ApiError(403, "the access token does not cover this scope")
    code = Code(
        value=state.runtime.new_secret("", 28),
        scope=scope,
        source=caller.environment,
        issuer_key=caller.key,
        partner_id=form["client-id"],
        issued_at=state.runtime.now(),
        expires_at=state.runtime.now()
        + state.code_lifetime
        + state.switches.code_lifetime_slack,
    )
    state.grants.keep_code(code)
    state.log.codes_issued += 1
    document = {"code": code.value, "expires-in": announced(state.code_lifetime)}
    return _response(state, document, request, quota)


def exchange(state: State, request: Request) -> Response:
    """Issue an access token for a code or an assertion."""
    quota = _count_request(state, request, "create_access_token")
    form = read_form(request.body, request.headers)
    grant_type = form.get("grant-type")
    if not grant_type:
        raise ApiError(400, "grant_type is missing")
    if grant_type == "client_credentials":
        token, spelling = client_credentials_token(state, form), "Bearer"
        lifetime = LIFETIME
    elif grant_type == "authorization_code":
        token, spelling = (
            _exchange_code(state, request, form),
            state.switches.token_casing,
        )
        lifetime = announced(state.token_lifetime)
    else:
        raise ApiError(400, "grant_type is not supported")
    state.grants.keep(token)
    state.log.tokens_issued += 1
    if state.switches.second_token_revokes_first:
        for older in state.grants.equivalent(token):
            older.revoked = True
    document = {
        "access-token": token.value,
        "token-type": spelling,
        "expires-in": lifetime,
        "scope": token.scope,
    }
    return _response(state, document, request, quota)


def _count_request(state: State, request: Request, quota: str) -> dict[str, str]:
    if not state.switches.oauth_enabled:
        raise ApiError(403, "OAuth is not enabled for this organization")
    scoped = request.caller.token is not None
    if scoped and not state.switches.token_may_call_oauth:
        raise ApiError(403, "an access token may not call this operation")
    window = request.caller.environment.quota
    return count_quota(window, quota, state.runtime.now(), state.switches)


def _response(
    state: State,
    document: dict[str, object],
    request: Request,
    quota: Mapping[str, str],
) -> Response:
    response = json_response(document, request, state.switches.success_status)
    return attrs.evolve(response, headers=dict(quota))


def _exchange_code(state: State, request: Request, form: Mapping[str, str]) -> Token:
    check(form, required=("code", "grant-type"))
    switches, caller = state.switches, request.caller
    code = state.grants.code(form["code"])
    if code is None:
        raise ApiError(switches.unknown_code_status, "the code is not found")
    if (
        code.partner_id != caller.organization_id
        or code.source.kind != caller.environment.kind
    ):
        raise ApiError(switches.foreign_code_status, "the code is not found")
    _redeem_code(state, code)
    scope = granted_scope(state, code.scope)
    value = state.runtime.new_secret(TOKEN_PREFIX, 34)
    now = state.runtime.now()
    holder = caller.token.holder if caller.token is not None else caller.environment
    return Token(
        value=value,
        digest=state.runtime.digest(value),
        scope=scope,
        atoms=frozenset(scope.split()),
        source=code.source,
        holder=holder,
        issued_at=now,
        expires_at=now + state.token_lifetime + switches.lifetime_slack,
        issuer_key=code.issuer_key,
        holder_key=caller.key,
        code=code,
    )


def _redeem_code(state: State, code: Code) -> None:
    switches = state.switches
    if code.used and switches.reuse_revokes_token:
        for token in state.grants.of_code(code):
            token.revoked = True
    if code.used and switches.code_is_single_use:
        raise ApiError(switches.used_code_status, "the code was used before")
    if state.runtime.now() >= code.expires_at:
        raise ApiError(switches.expired_code_status, "the code has expired")
    if not code.used:
        state.log.codes_redeemed += 1
    code.used = True


def requested_scope(state: State, text: str, owner: Environment) -> str:
    """Return the scope of an authorization, checked pair by pair.

    Raises:
        ApiError: for an unreadable pair, an unknown permission, or an object
            that the owner does not have; no value is repeated.
    """
    pairs = text.split()
    if not pairs:
        raise ApiError(400, "scope is missing")
    limit = state.switches.max_scope_pairs
    if limit is not None and len(pairs) > limit:
        raise ApiError(400, f"scope has more than {limit} pairs")
    return " ".join(_checked_pair(state, pair, owner) for pair in pairs)


def _checked_pair(state: State, pair: str, owner: Environment) -> str:
    permission, _, object_id = pair.partition(":")
    if state.switches.scope_case == "lowered":
        permission = permission.lower()
    if not is_id(object_id):
        raise ApiError(400, "scope must be pairs of permission:object")
    if permission not in PERMISSIONS:
        status = state.switches.unknown_permission_status
        raise ApiError(status, "scope names a permission that does not exist")
    word = permission.partition(".")[0]
    if (
        state.switches.authorize_checks_objects
        and not state.records.scope_target_exists(word, object_id, owner)
    ):
        status = state.switches.unknown_object_status
        raise ApiError(status, "scope names an object that is not found")
    return f"{permission}:{object_id}"


def granted_scope(state: State, scope: str) -> str:
    """Return the granted scope, according to the switches."""
    switches = state.switches
    if switches.grants is not None:
        scope = switches.grants(scope)
    pairs = scope.split()
    if switches.scope_duplicates == "dropped":
        pairs = list(dict.fromkeys(pairs))
    if switches.scope_order == "canonical":
        pairs.sort()
    elif switches.scope_order == "shuffled":
        state.runtime.stream("scope order").shuffle(pairs)
    return " ".join(pairs)


ROUTES: Final[Routes] = {
    "POST /oauth/authorize": Operation("create-authorization", authorize),
    "POST /oauth/token": Operation("create-access-token", exchange),
}
