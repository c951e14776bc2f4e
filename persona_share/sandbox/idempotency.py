"""The idempotency layer: the first outcome of a key is kept and replayed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl

import attrs
import orjson

from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.forms import kebab
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.switches import Switches
from persona_share.sandbox.world import World


#: Decided before this layer (limiter, authentication), so never kept.
NEVER_KEPT: Final = frozenset({401, 429})
SERVER_ERROR: Final = 500

Key = tuple[str, str]


@attrs.define(eq=False)
class _Kept:
    parameters: str
    at: float
    reply: Reply | None = None
    done: asyncio.Event = attrs.field(factory=asyncio.Event)


class Idempotency:
    """Outcomes by caller and key."""

    def __init__(self, world: World, switches: Switches) -> None:
        self._world = world
        self._switches = switches
        self._kept: dict[Key, _Kept] = {}

    def would_replay(self, call: Call) -> bool:
        """Answer whether an outcome is kept for this call."""
        key = self._key_of(call)
        kept = None if key is None else self._alive(key)
        return kept is not None and kept.reply is not None

    async def run(self, call: Call, act: Callable[[], Awaitable[Reply]]) -> Reply:
        """Act once for a key, and answer every repetition with the first outcome.

        Raises:
            Problem: for a key that comes with other parameters, or whose first request
                is not finished where the switch says 409.
        """
        key = self._key_of(call)
        if key is None:
            return await act()
        parameters = self._parameters_of(call)
        while (kept := self._alive(key)) is not None:
            if kept.parameters != parameters:
                details = "this key was used with other parameters"
                status = self._switches.mismatch_status
                raise Problem(status, details, title="Idempotency error")
            if kept.reply is not None:
                return self._replayed(kept, kept.reply)
            if self._switches.inflight_duplicate == "run":
                return await act()
            if self._switches.inflight_duplicate == "conflict":
                raise Problem(409, "a request with this key is in progress")
            await kept.done.wait()
        return await self._first(key, parameters, act)

    async def _first(
        self, key: Key, parameters: str, act: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        kept = self._kept[key] = _Kept(parameters, self._world.now())
        try:
            reply = await act()
            if self._keeps(reply.status):
                kept.reply = reply
        finally:
            if kept.reply is None:
                self._kept.pop(key, None)
            kept.done.set()
        return reply

    def _keeps(self, status: int) -> bool:
        if status in NEVER_KEPT:
            return False
        return status < SERVER_ERROR or self._switches.keeps_server_errors

    def _alive(self, key: Key) -> _Kept | None:
        """Answer what is kept, after dropping what is past its retention."""
        limit = self._world.now() - self._switches.key_retention
        kept = self._kept.get(key)
        if kept is not None and kept.at <= limit and kept.reply is not None:
            del self._kept[key]
            return None
        return kept

    def _key_of(self, call: Call) -> Key | None:
        key = call.headers.get("Idempotency-Key")
        if not key or not self._covers(call):
            return None
        namespace = {
            "api_key": call.caller.identity,
            "environment": call.caller.named.id,
            "global": "",
        }[self._switches.key_namespace]
        return namespace, self._world.digest(key)

    def _covers(self, call: Call) -> bool:
        if call.operation == "POST /oauth/token" and not self._switches.oauth_replays:
            return False
        if call.method == "PATCH":
            return self._switches.patch_replays
        return call.method == "POST"

    def _parameters_of(self, call: Call) -> str:
        parts: list[object] = [call.method, call.path, sorted(call.query)]
        try:
            form = parse_qsl(call.body.decode(), strict_parsing=True)
            parts.append(sorted((kebab(name), value) for name, value in form))
        except ValueError:
            parts.append(call.body.hex())
        if self._switches.headers_are_parameters:
            parts += [call.version, call.inflection]
        return self._world.digest(repr(parts))

    def _replayed(self, kept: _Kept, reply: Reply) -> Reply:
        headers = dict(reply.headers)
        if self._switches.replay_marker:
            headers[self._switches.replay_marker] = "true"
        body = reply.body
        if self._switches.replay_updates_expires_in:
            body = _with_rest(body, self._world.now() - kept.at)
        return attrs.evolve(reply, headers=headers, body=body, replayed=True)


def _with_rest(body: bytes, age: float) -> bytes:
    document = orjson.loads(body)
    for name in document if isinstance(document, dict) else ():
        if kebab(name) == "expires-in":
            document[name] = max(0, int(document[name] - age))
    return orjson.dumps(document)
