"""Authentication: from the Authorization header to a caller, or 401."""

from typing import Final

from persona_share.sandbox.oauth.client_credentials import claimed_client
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.grants import Token
from persona_share.sandbox.state.organizations import ApiKey
from persona_share.sandbox.state.requests import Caller, Request
from persona_share.sandbox.state.state import State


#: The title of the error for a request without a credential.
UNAUTHENTICATED: Final = "Must be authenticated to access this endpoint"

PRODUCTION_KEY_PREFIX: Final = "persona_production_"


def authenticate(state: State, request: Request) -> None:
    """Set the caller of a request.

    Raises:
        ApiError: 401 without a valid credential; what the switches say for an expired
            or revoked token.
    """
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        request.caller = _oauth_client(state, request)
        return
    if credential.startswith(PRODUCTION_KEY_PREFIX):
        raise ApiError(401, title="Token is invalid: the sandbox takes no real key")
    if (key := state.keys.get(credential)) is not None:
        now = state.runtime.now()
        if key.expires_at is not None and now >= key.expires_at:
            raise ApiError(401)
        key.last_used_at = now
        request.caller = _caller_of_key(key)
    elif (token := state.grants.token(credential)) is not None:
        request.caller = _caller_of_token(token, state)
        _check_lifetime(token, state)
    else:
        raise ApiError(401)


def _caller_of_key(key: ApiKey) -> Caller:
    mine = key.environment
    return Caller("api_key", key.digest, mine, mine, mine, key=key)


def _caller_of_token(token: Token, state: State) -> Caller:
    switches = state.switches
    ends = {"source": token.source, "destination": token.holder}
    return Caller(
        "access_token",
        token.digest,
        environment=token.source,
        reported=ends[switches.token_environment],
        rate_limited=ends[switches.limit_of_scoped_token],
        token=token,
    )


def _oauth_client(state: State, request: Request) -> Caller:
    client = None
    if (
        request.operation == "POST /oauth/token"
        and not state.switches.client_credentials_need_bearer
    ):
        client = claimed_client(state, request)
    if client is None:
        raise ApiError(401, title=UNAUTHENTICATED)
    mine = client.environment
    return Caller("oauth_client", state.runtime.digest(client.id), mine, mine, mine)


def _check_lifetime(token: Token, state: State) -> None:
    now, switches = state.runtime.now(), state.switches
    if token.revoked:
        raise ApiError(switches.revoked_token_status, "the access token was revoked")
    if now >= token.expires_at:
        raise ApiError(switches.expired_token_status, "the access token has expired")
    if now < token.issued_at + switches.new_token_401_seconds:
        raise ApiError(401)
