"""One event loop's connections to Redis: the only file that knows redis-py.

One attempt, one second, no retries: what to do without the store is decided above. A
command that is cancelled or late costs its connection, for its answer must never be
read by somebody else (F110, F114).
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import attrs
from redis import asyncio as aioredis, exceptions
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from persona_share.errors import StoreUnavailableError
from persona_share.model.secret import Secret
from persona_share.ports import Runtime


#: The longest that one operation takes, connecting included, in seconds.
_LONGEST: Final = 1.0
#: So many operations are under way at once; the others wait their turn.
_AT_ONCE: Final = 32
#: The mean pause before listening is tried again, in seconds.
_LISTEN_AGAIN: Final = 2.0
#: The pause before a listener that goes on is cancelled again, in seconds.
_CANCEL_AGAIN: Final = 0.05

_OPTIONS: Final[dict[str, Any]] = {
    "socket_timeout": _LONGEST,
    "socket_connect_timeout": _LONGEST,
    "retry": Retry(NoBackoff(), 0),
    "protocol": 2,  # no greeting: one round trip less at each connection
    "driver_info": None,  # nor an introduction
}


@attrs.frozen
class Outage:
    """Why no answer came; ``at_once``: it makes no sense to ask again soon."""

    what: str
    at_once: bool
    drop: bool = False


class Line:
    """The connections of one event loop, and who waits for announcements in it."""

    def __init__(
        self, url: Secret, script: str, channel: str, runtime: Runtime, *, cluster: bool
    ) -> None:
        self._script = script
        self._channel = channel
        self._runtime = runtime
        self._sha = ""
        one: Any = aioredis.Redis
        many: Any = RedisCluster
        self._plain: Any = one.from_url(url.reveal(), **_OPTIONS)
        self._client: Any = (
            many.from_url(url.reveal(), **_OPTIONS) if cluster else self._plain
        )
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._listeners: defaultdict[bytes, set[asyncio.Future[None]]] = defaultdict(
            set
        )
        self._listening: asyncio.Task[None] | None = None
        self._closed = False

    async def evaluate(
        self, may_ask: Callable[[], None], keys: list[str], arguments: list[Any]
    ) -> list[Any] | Outage:
        """Run the script; ``may_ask`` raises if by our turn it makes no sense."""
        async with self._slots:
            may_ask()
            outage = await self._tried(keys, arguments)
        if isinstance(outage, Outage) and outage.drop:
            await self.drop()
        return outage

    async def policy(self) -> str | None:
        """Answer what the server does when it is full, if it says so."""
        with suppress(exceptions.RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_LONGEST):
                info = await self._plain.info("memory")
                return str(info.get("maxmemory_policy"))
        return None

    async def keys(self, pattern: str) -> list[str]:
        """Answer the keys of this pattern.

        Raises:
            StoreUnavailableError: they cannot be listed.
        """
        try:
            found = self._client.scan_iter(pattern, count=1_000)
            return [key.decode() async for key in found]
        except (exceptions.RedisError, OSError) as error:
            raise StoreUnavailableError(_outage_of(error).what) from None

    async def drop(self) -> None:
        """Drop the connections; new ones are made when they are needed."""
        with suppress(exceptions.RedisError, OSError):
            if isinstance(self._client, RedisCluster):
                await self._client.aclose()
            await self._plain.connection_pool.disconnect()

    async def close(self) -> None:
        """Drop everything and stop listening."""
        self._closed = True
        # redis-py swallows a cancellation that comes while it connects.
        while self._listening is not None and not self._listening.done():
            self._listening.cancel()
            await asyncio.wait({self._listening}, timeout=_CANCEL_AGAIN)
        with suppress(exceptions.RedisError, OSError):
            await self._client.aclose()
            await self._plain.aclose()

    # ── Announcements ───────────────────────────────────────────────────────────

    def listen(self, key: str) -> "asyncio.Future[None]":
        """Answer what is done when something is announced for this key."""
        if self._listening is None:
            self._listening = asyncio.ensure_future(self._listen())
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners[key.encode()].add(heard)
        return heard

    def leave(self, key: str, heard: "asyncio.Future[None]") -> None:
        """Wait for this no more."""
        listeners = self._listeners.get(key.encode(), set())
        listeners.discard(heard)
        if not listeners:
            self._listeners.pop(key.encode(), None)

    async def _listen(self) -> None:
        while not self._closed:
            with suppress(exceptions.RedisError, OSError, TimeoutError):
                async with self._plain.pubsub(ignore_subscribe_messages=True) as heard:
                    await heard.subscribe(self._channel)
                    async for message in heard.listen():
                        self._announced(message["data"])
            pause = _LISTEN_AGAIN * (0.5 + self._runtime.random())
            await self._runtime.clock.sleep(pause)

    def _announced(self, key: bytes) -> None:
        for heard in self._listeners.pop(key, ()):
            if not heard.done():
                heard.set_result(None)

    # ── One attempt ─────────────────────────────────────────────────────────────

    async def _tried(self, keys: list[str], arguments: list[Any]) -> list[Any] | Outage:
        try:
            async with asyncio.timeout(_LONGEST):
                return await self._asked(keys, arguments)
        except (exceptions.RedisError, OSError) as error:
            return _outage_of(error)

    async def _asked(self, keys: list[str], arguments: list[Any]) -> list[Any]:
        if self._sha:
            with suppress(exceptions.NoScriptError):
                reply: list[Any] = await self._client.evalsha(
                    self._sha, len(keys), *keys, *arguments
                )
                return reply
        # A server that never saw the script, or forgot it, remembers it from now on.
        reply = await self._client.eval(self._script, len(keys), *keys, *arguments)
        self._sha = hashlib.sha1(
            self._script.encode(), usedforsecurity=False
        ).hexdigest()
        return reply


_OUTAGES: Final[tuple[tuple[tuple[type[Exception], ...], Outage], ...]] = (
    (
        (TimeoutError, exceptions.TimeoutError),
        Outage("Redis did not answer in time", at_once=True),
    ),
    (
        (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
            exceptions.NoPermissionError,
        ),
        Outage("Redis refused us", at_once=True),
    ),
    (
        (exceptions.ReadOnlyError,),
        Outage("this Redis is a replica, its primary is elsewhere", False, drop=True),
    ),
    (
        (exceptions.MovedError,),
        Outage("this Redis is in a cluster; say cluster=True", at_once=True),
    ),
)


def _outage_of(error: Exception) -> Outage:
    """Answer what an error means, in our words: its own may hold what was sent."""
    for kinds, outage in _OUTAGES:
        if isinstance(error, kinds):
            return outage
    # To strangers a server says this of any command that is long.
    if "unauthenticated" in str(error):
        return Outage("Redis refused us", at_once=True)
    return Outage(f"Redis cannot be used ({type(error).__name__})", at_once=False)
