"""``POST /oauth/authorize`` and ``POST /oauth/token``."""

from collections.abc import Mapping

import attrs

from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.forms import check, read_form
from persona_share.sandbox.grants import TOKEN_PREFIX, Code, Token, announced
from persona_share.sandbox.limits import charge_quota
from persona_share.sandbox.machine_grant import LIFETIME, machine_token
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.rendering import written
from persona_share.sandbox.scopes import asked, granted
from persona_share.sandbox.state import State


def authorize(state: State, call: Call) -> Reply:
    """Issue a code to a partner organization for named objects of the caller."""
    quota = _admitted(state, call, "create_authorization")
    form = read_form(call.body, call.headers)
    check(form, required=("client-id", "response-type", "scope"))
    if form["response-type"] != "code":
        raise Problem(400, "response_type must be code")
    if form["client-id"] not in state.organizations:
        status = state.switches.unknown_client_status
        raise Problem(status, "client_id is not found")
    caller = call.caller
    scope = asked(state, form["scope"], caller.environment)
    if caller.token is not None and not caller.token.atoms.issuperset(scope.split()):
        raise Problem(403, "the access token does not cover this scope")
    code = Code(
        value=state.world.new_secret("", 28),
        scope=scope,
        source=caller.environment,
        issuer_key=caller.key,
        partner_id=form["client-id"],
        expires_at=state.world.now()
        + state.code_lifetime
        + state.switches.code_lifetime_slack,
    )
    state.grants.keep_code(code)
    state.log.codes_issued += 1
    answer = {"code": code.value, "expires-in": announced(state.code_lifetime)}
    return _answered(state, answer, call, quota)


def exchange(state: State, call: Call) -> Reply:
    """Give an access token for a code, or for a machine's assertion."""
    quota = _admitted(state, call, "create_access_token")
    form = read_form(call.body, call.headers)
    grant_type = form.get("grant-type")
    if not grant_type:
        raise Problem(400, "grant_type is missing")
    if grant_type == "client_credentials":
        token, spelling = machine_token(state, form), "Bearer"
        lifetime = LIFETIME
    elif grant_type == "authorization_code":
        token, spelling = (
            _token_for_code(state, call, form),
            state.switches.token_casing,
        )
        lifetime = announced(state.token_lifetime)
    else:
        raise Problem(400, "grant_type is not supported")
    state.grants.keep(token)
    state.log.tokens_minted += 1
    if state.switches.second_token_revokes_first:
        for older in state.grants.alike(token):
            older.revoked = True
    answer = {
        "access-token": token.value,
        "token-type": spelling,
        "expires-in": lifetime,
        "scope": token.scope,
    }
    return _answered(state, answer, call, quota)


def _admitted(state: State, call: Call, quota: str) -> dict[str, str]:
    if not state.switches.oauth_enabled:
        raise Problem(403, "OAuth is not enabled for this organization")
    scoped = call.caller.token is not None
    if scoped and not state.switches.token_may_call_oauth:
        raise Problem(403, "an access token may not call this operation")
    window = call.caller.environment.quota
    return charge_quota(window, quota, state.world.now(), state.switches)


def _answered(
    state: State, answer: dict[str, object], call: Call, quota: Mapping[str, str]
) -> Reply:
    reply = written(answer, call, state.switches.success_status)
    return attrs.evolve(reply, headers=dict(quota))


def _token_for_code(state: State, call: Call, form: Mapping[str, str]) -> Token:
    check(form, required=("code", "grant-type"))
    switches, caller = state.switches, call.caller
    code = state.grants.code(form["code"])
    if code is None:
        raise Problem(switches.unknown_code_status, "the code is not found")
    if (
        code.partner_id != caller.organization_id
        or code.source.kind != caller.environment.kind
    ):
        raise Problem(switches.foreign_code_status, "the code is not found")
    _spend(state, code)
    scope = granted(state, code.scope)
    value = state.world.new_secret(TOKEN_PREFIX, 34)
    now = state.world.now()
    holder = caller.token.holder if caller.token is not None else caller.environment
    return Token(
        value=value,
        digest=state.world.digest(value),
        scope=scope,
        atoms=frozenset(scope.split()),
        source=code.source,
        holder=holder,
        minted_at=now,
        expires_at=now + state.token_lifetime + switches.lifetime_slack,
        issuer_key=code.issuer_key,
        holder_key=caller.key,
        code=code,
    )


def _spend(state: State, code: Code) -> None:
    switches = state.switches
    if code.used and switches.reuse_revokes_token:
        for token in state.grants.of_code(code):
            token.revoked = True
    if code.used and switches.code_is_single_use:
        raise Problem(switches.used_code_status, "the code was used before")
    if state.world.now() >= code.expires_at:
        raise Problem(switches.expired_code_status, "the code has expired")
    if not code.used:
        state.log.codes_redeemed += 1
    code.used = True
