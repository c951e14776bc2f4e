"""The idempotency layer: it stores and replays the first outcome of a key."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl

import attrs
import orjson

from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.jsonapi.body import kebab
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.runtime import Runtime
from persona_share.sandbox.state.requests import Request


#: Statuses of the authentication and the rate limiter, which come before this layer.
NEVER_STORED: Final = frozenset({401, 429})
SERVER_ERROR: Final = 500

Key = tuple[str, str]


@attrs.define(eq=False)
class _StoredOutcome:
    parameters: str
    at: float
    response: Response | None = None
    done: asyncio.Event = attrs.field(factory=asyncio.Event)


class Idempotency:
    """Outcomes by caller and key."""

    def __init__(self, runtime: Runtime, switches: Switches, limit: int) -> None:
        self._runtime = runtime
        self._switches = switches
        self._limit = limit
        self._outcomes: dict[Key, _StoredOutcome] = {}

    def would_replay(self, request: Request) -> bool:
        """Return whether an outcome is stored for this request."""
        key = self._key_of(request)
        outcome = None if key is None else self._unexpired(key)
        return outcome is not None and outcome.response is not None

    async def run(
        self, request: Request, operation: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Run ``operation`` once per key, and replay its outcome for repetitions.

        Raises:
            ApiError: for a key with other parameters, or 409 for a duplicate of a running
                request if the switch says so.
        """
        key = self._key_of(request)
        if key is None:
            return await operation()
        parameters = self._parameters_of(request)
        while (outcome := self._unexpired(key)) is not None:
            if outcome.parameters != parameters:
                details = "this key was used with other parameters"
                status = self._switches.mismatch_status
                raise ApiError(status, details, title="Idempotency error")
            if outcome.response is not None:
                return self._replay_response(outcome, outcome.response)
            if self._switches.inflight_duplicate == "run":
                return await operation()
            if self._switches.inflight_duplicate == "conflict":
                raise ApiError(409, "a request with this key is in progress")
            await outcome.done.wait()
        return await self._first(key, parameters, operation)

    async def _first(
        self, key: Key, parameters: str, operation: Callable[[], Awaitable[Response]]
    ) -> Response:
        outcome = self._outcomes[key] = _StoredOutcome(parameters, self._runtime.now())
        try:
            response = await operation()
            if self._is_stored(response.status):
                outcome.response = response
                self._drop_oldest()
        finally:
            if outcome.response is None:
                self._outcomes.pop(key, None)
            outcome.done.set()
        return response

    def _drop_oldest(self) -> None:
        if len(self._outcomes) > self._limit:
            stored = (k for k, v in self._outcomes.items() if v.response is not None)
            self._outcomes.pop(next(stored))

    def _is_stored(self, status: int) -> bool:
        if status in NEVER_STORED:
            return False
        return status < SERVER_ERROR or self._switches.keeps_server_errors

    def _unexpired(self, key: Key) -> _StoredOutcome | None:
        """Return the stored outcome, and drop it if its retention is over."""
        limit = self._runtime.now() - self._switches.key_retention
        outcome = self._outcomes.get(key)
        if outcome is not None and outcome.at <= limit and outcome.response is not None:
            del self._outcomes[key]
            return None
        return outcome

    def _key_of(self, request: Request) -> Key | None:
        key = request.headers.get("Idempotency-Key")
        if not key or not self._covers(request):
            return None
        namespace = {
            "api_key": request.caller.identity,
            "environment": request.caller.reported.id,
            "global": "",
        }[self._switches.key_namespace]
        return namespace, self._runtime.digest(key)

    def _covers(self, request: Request) -> bool:
        if (
            request.operation == "POST /oauth/token"
            and not self._switches.oauth_replays
        ):
            return False
        if request.method == "PATCH":
            return self._switches.patch_replays
        return request.method == "POST"

    def _parameters_of(self, request: Request) -> str:
        parts: list[object] = [request.method, request.path, sorted(request.query)]
        try:
            form = parse_qsl(request.body.decode(), strict_parsing=True)
            parts.append(sorted((kebab(name), value) for name, value in form))
        except ValueError:
            parts.append(request.body.hex())
        if self._switches.headers_are_parameters:
            parts += [request.version, request.inflection]
        return self._runtime.digest(repr(parts))

    def _replay_response(self, outcome: _StoredOutcome, response: Response) -> Response:
        headers = dict(response.headers)
        if self._switches.replay_marker:
            headers[self._switches.replay_marker] = "true"
        body = response.body
        if self._switches.replay_updates_expires_in:
            body = _with_remaining(body, self._runtime.now() - outcome.at)
        return attrs.evolve(response, headers=headers, body=body, replayed=True)


def _with_remaining(body: bytes, age: float) -> bytes:
    document = orjson.loads(body)
    for name in document if isinstance(document, dict) else ():
        if kebab(name) == "expires-in":
            document[name] = max(0, int(document[name] - age))
    return orjson.dumps(document)
