"""The steps of every request, in Persona's documented order.

Authentication (401) and the limiter (429) come before the idempotency layer, so that
a refused request is never stored; the handlers come after it.
"""

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import attrs
import orjson

from persona_share.sandbox.behavior.faults import Effect, RequestFaults, real_payload
from persona_share.sandbox.http.idempotency import Idempotency
from persona_share.sandbox.jsonapi.read import Handler, not_found
from persona_share.sandbox.jsonapi.rendering import (
    checked_inflection,
    checked_version,
)
from persona_share.sandbox.oauth.endpoints import claimed_client
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.grants import Token
from persona_share.sandbox.state.organizations import (
    LATEST_VERSION,
    ApiKey,
    Window,
    count_request,
    rate_headers,
)
from persona_share.sandbox.state.requests import Caller, Entry, Request
from persona_share.sandbox.state.state import State


#: The title of the error for a request without a credential.
UNAUTHENTICATED: Final = "Must be authenticated to access this endpoint"

PRODUCTION_KEY_PREFIX: Final = "persona_production_"


def authenticate(state: State, request: Request) -> None:
    """Set the caller of a request.

    Raises:
        ApiError: 401 without a valid credential; the status of a switch for an expired
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
    environment = key.environment
    return Caller("api_key", key.digest, environment, environment, environment, key=key)


def _caller_of_token(token: Token, state: State) -> Caller:
    switches = state.switches
    environments = {"source": token.source, "destination": token.holder}
    return Caller(
        "access_token",
        token.digest,
        environment=token.source,
        reported=environments[switches.token_environment],
        rate_limited=environments[switches.limit_of_scoped_token],
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
    environment = client.environment
    return Caller(
        "oauth_client",
        state.runtime.digest(client.id),
        environment,
        environment,
        environment,
    )


def _check_lifetime(token: Token, state: State) -> None:
    now, switches = state.runtime.now(), state.switches
    if token.revoked:
        raise ApiError(switches.revoked_token_status, "the access token was revoked")
    if now >= token.expires_at:
        raise ApiError(switches.expired_token_status, "the access token has expired")
    if now < token.issued_at + switches.new_token_401_seconds:
        raise ApiError(401)


class ConnectionCut(Exception):  # noqa: N818 - it is an outcome, not an error
    """A fault closes the connection without a response."""


@attrs.frozen
class EncodedResponse:
    """Status, headers and body as they are sent, and whether only half of it is."""

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool = False


class Pipeline:
    """Takes a request through all steps."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._idempotency = Idempotency(
            state.runtime, state.switches, state.limits.idempotency_keys
        )

    async def respond(
        self, request: Request, handler: Handler | None
    ) -> EncodedResponse:
        """Return the response to a request.

        Raises:
            ConnectionCut: if a fault closes the connection.
        """
        faults = self._state.faults.for_request(request.operation)
        if faults.take(Effect.HANG):
            await self._state.faults.wait_for_release()
        if faults.take(Effect.CUT):
            self._log(request)
            raise ConnectionCut
        response, headers = await self._process(request, handler, faults)
        if faults.take(Effect.REAL_PAYLOAD):
            document = real_payload(orjson.loads(response.body))
            response = attrs.evolve(response, body=orjson.dumps(document))
        if faults.take(Effect.HANG_ACTED):
            await self._state.faults.wait_for_release()
        if faults.take(Effect.LOSE_ANSWER):
            self._log(request, response, headers, cut=True)
            raise ConnectionCut
        self._log(request, response, headers)
        truncated = faults.take(Effect.TRUNCATE) is not None
        return EncodedResponse(response.status, headers, response.body, truncated)

    async def _process(
        self, request: Request, handler: Handler | None, faults: RequestFaults
    ) -> tuple[Response, dict[str, str]]:
        window = None
        self._state.scheduler.run(self._state.runtime.now())
        try:
            authenticate(self._state, request)
            request.request_id = self._state.runtime.new_id("req")
            window = self._count_request(request)
            self._apply_headers(request)
            response = await self._respond(request, handler, faults)
        except ApiError as error:
            response = self._error_response(error)
        return response, response_headers(self._state, request, response, window)

    async def _respond(
        self, request: Request, handler: Handler | None, faults: RequestFaults
    ) -> Response:
        fault = faults.take(Effect.ANSWER)
        if fault is not None and fault.response is not None:
            return fault.response
        response = await self._idempotency.run(
            request, lambda: self._execute(request, handler, faults)
        )
        if response.replayed and self._state.latency:
            await self._state.runtime.sleep(self._state.latency)
        return response

    async def _execute(
        self, request: Request, handler: Handler | None, faults: RequestFaults
    ) -> Response:
        late = faults.take(Effect.DELAY)
        pause = self._state.latency + (late.seconds if late else 0.0)
        if pause:
            await self._state.runtime.sleep(pause)
        fault = faults.take(Effect.STORED_ANSWER)
        if fault is not None and fault.response is not None:
            response = fault.response
        else:
            response = self._run_handler(request, handler)
        now = self._state.runtime.now()
        return attrs.evolve(response, request_id=request.request_id, at=now)

    def _run_handler(self, request: Request, handler: Handler | None) -> Response:
        try:
            return (handler or not_found)(self._state, request)
        except ApiError as error:
            return self._error_response(error)
        except Exception as crash:  # noqa: BLE001 - the response is a 500
            self._state.log.crashes.append(crash)
            return self._error_response(
                ApiError(500, type(crash).__name__, title="Sandbox crash")
            )

    def _error_response(self, error: ApiError) -> Response:
        return error.response(with_pointer=self._state.switches.error_pointers)

    def _count_request(self, request: Request) -> Window:
        caller, switches = request.caller, self._state.switches
        windows = [caller.rate_limited.window]
        if caller.key is not None:
            windows += _key_window(caller.key, switches.key_limit)
        now = self._state.runtime.now()
        free = not switches.replay_counts_against_limit
        if free and self._idempotency.would_replay(request):
            windows[0].advance_to(now)
            return windows[0]
        return count_request(windows, now, switches)

    def _apply_headers(self, request: Request) -> None:
        """Set inflection and version: the header's, else the credential's."""
        key = self._default_key(request)
        version = request.headers.get("Persona-Version")
        request.version = (
            checked_version(version)
            if version is not None
            else key.version
            if key
            else LATEST_VERSION
        )
        inflection = request.headers.get("Key-Inflection")
        request.inflection = (
            checked_inflection(inflection)
            if inflection is not None
            else key.inflection
            if key
            else "kebab"
        )

    def _default_key(self, request: Request) -> ApiKey | None:
        token = request.caller.token
        if token is None:
            return request.caller.key
        return {
            "nothing": None,
            "issuer": token.issuer_key,
            "holder": token.holder_key,
        }[self._state.switches.token_inherits]

    def _log(
        self,
        request: Request,
        response: Response | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        entry = log_entry(self._state, request, response)
        if cut:
            entry = attrs.evolve(entry, status=None)
        self._state.log.append(entry)
        shown = None if cut else response
        seconds = self._state.runtime.now() - request.arrived_at
        self._state.exchanges.add(request, shown, headers or {}, seconds)


def _key_window(key: ApiKey, limit_of_all: int | None) -> list[Window]:
    limit = key.own_limit if key.own_limit is not None else limit_of_all
    key.window.limit = limit
    return [] if limit is None else [key.window]


SANDBOX_HEADERS: Final = {"Persona-Sandbox": "persona_share"}


def response_headers(
    state: State, request: Request, response: Response, window: Window | None
) -> dict[str, str]:
    """Return the headers; a 401 has no request id and no limits (as in its schema).

    Headers of the response take precedence; None removes a header.
    """
    now = state.runtime.now()
    first = response.replayed and state.switches.replay_date == "first"
    headers: dict[str, str | None] = {
        **SANDBOX_HEADERS,
        "Content-Type": response.content_type,
        "Date": formatdate(response.at if first else now, usegmt=True),
    }
    known = request.known_caller
    refused = response.status == HTTPStatus.UNAUTHORIZED
    if known is not None and not refused:
        headers["Request-Id"] = _request_id(state, request, response)
        headers["Persona-Environment-Id"] = known.reported.id
        headers["Persona-Organization-Id"] = known.reported.organization_id
    if refused:
        window = _shown_on_401(state, window)
    if window is not None:
        headers |= rate_headers(window, now, state.switches)
    headers |= response.headers
    return {name: value for name, value in headers.items() if value is not None}


def log_entry(state: State, request: Request, response: Response | None) -> Entry:
    """Return the log entry of a request, with hashes instead of secrets."""
    known, key = request.known_caller, request.headers.get("Idempotency-Key")
    request_id = (
        request.request_id
        if response is None
        else _request_id(state, request, response)
    )
    return Entry(
        at=request.arrived_at,
        operation=request.operation,
        status=None if response is None else response.status,
        organization=known.organization_id if known else None,
        credential=known.kind if known else None,
        token=known.token.digest if known and known.token else None,
        idempotency_key=state.runtime.digest(key) if key else None,
        object_id=request.object_id,
        request_id=request_id or None,
        replayed=response is not None and response.replayed,
        user_agent=request.headers.get("User-Agent"),
    )


def _request_id(state: State, request: Request, response: Response) -> str:
    if response.replayed and state.switches.replay_request_id == "first":
        return response.request_id
    return request.request_id


def _shown_on_401(state: State, window: Window | None) -> Window | None:
    if not state.switches.rate_limit_headers_on_401:
        return None
    if window is None:
        # Without a caller, the window of the first organization is shown.
        window = next(iter(state.organizations.values())).environment.window
    return window
