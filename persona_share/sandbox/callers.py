"""Authentication: from the Authorization header to a caller, or 401."""

from typing import Final

from persona_share.sandbox.calls import Call, Caller
from persona_share.sandbox.grants import Token
from persona_share.sandbox.machine_grant import claimed_client
from persona_share.sandbox.organizations import ApiKey
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.state import State


#: What a request without any credential is told.
NOBODY: Final = "Must be authenticated to access this endpoint"

REAL_KEYS: Final = "persona_production_"


def identify(state: State, call: Call) -> None:
    """Find the caller and note it in the call.

    Raises:
        Problem: 401 for no or no good credential; what the switches say for a token
            that is over.
    """
    scheme, _, credential = call.headers.get("Authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        call.caller = _machine(state, call)
        return
    if credential.startswith(REAL_KEYS):
        raise Problem(401, title="Token is invalid: the sandbox takes no real key")
    if (key := state.keys.get(credential)) is not None:
        call.caller = _of_key(key)
    elif (token := state.grants.token(credential)) is not None:
        call.caller = _of_token(token, state)
        _check_life(token, state)
    else:
        raise Problem(401)


def _of_key(key: ApiKey) -> Caller:
    mine = key.environment
    return Caller("api_key", key.digest, mine, mine, mine, key=key)


def _of_token(token: Token, state: State) -> Caller:
    switches = state.switches
    ends = {"source": token.source, "destination": token.holder}
    return Caller(
        "access_token",
        token.digest,
        environment=token.source,
        named=ends[switches.token_environment],
        charged=ends[switches.limit_of_scoped_token],
        token=token,
    )


def _machine(state: State, call: Call) -> Caller:
    client = None
    if (
        call.operation == "POST /oauth/token"
        and not state.switches.machine_grant_needs_bearer
    ):
        client = claimed_client(state, call)
    if client is None:
        raise Problem(401, title=NOBODY)
    mine = client.environment
    return Caller("oauth_client", state.world.digest(client.id), mine, mine, mine)


def _check_life(token: Token, state: State) -> None:
    now, switches = state.world.now(), state.switches
    if token.revoked:
        raise Problem(switches.revoked_token_status, "the access token was revoked")
    if now >= token.expires_at:
        raise Problem(switches.expired_token_status, "the access token has expired")
    if now < token.minted_at + switches.mint_grace_401:
        raise Problem(401)
