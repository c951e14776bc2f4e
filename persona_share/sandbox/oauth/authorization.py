"""``POST /oauth/authorize`` and ``POST /oauth/token``."""

from collections.abc import Mapping
from typing import Final

import attrs

from persona_share.model.ids import is_id
from persona_share.sandbox.jsonapi.body import check, read_form
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.rendering import json_response
from persona_share.sandbox.oauth.client_credentials import (
    LIFETIME,
    client_credentials_token,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.grants import TOKEN_PREFIX, Code, Token, announced
from persona_share.sandbox.state.organizations import PERMISSIONS, Environment
from persona_share.sandbox.state.rate_limits import count_quota
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


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
    """Give an access token for a code, or for a machine's assertion."""
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
        ApiError: for a pair that cannot be read, an unknown permission, or an object
            that the owner does not have; no value is repeated.
    """
    pairs = text.split()
    if not pairs:
        raise ApiError(400, "scope is missing")
    most = state.switches.max_scope_pairs
    if most is not None and len(pairs) > most:
        raise ApiError(400, f"scope has more than {most} pairs")
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
    """Return the words of the granted scope, as the switches say."""
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
