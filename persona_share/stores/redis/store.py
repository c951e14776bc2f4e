"""RedisStore: tokens in Redis or Valkey, for all processes of all machines."""

import asyncio
import itertools
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from persona_share._wire.circuit import Circuit
from persona_share._wire.election import (
    Carried,
    Elected,
    Follow,
    Held,
    Lead,
    Refused,
    poll_pause,
)
from persona_share._wire.election_script import script
from persona_share.errors import StoreRefusedError, StoreUnavailableError
from persona_share.model.secret import Secret
from persona_share.ports import World
from persona_share.stores._changing import Told
from persona_share.stores.redis.address import RedisAddress
from persona_share.stores.redis.replies import (
    carried_of,
    fields_of,
    held_of,
    milliseconds,
    seconds_of,
)


if TYPE_CHECKING:
    from persona_share.stores.redis.line import Line

_LOG: Final = logging.getLogger("persona_share")
#: Connections that a child inherited through a fork: neither used nor closed there.
_INHERITED: Final[list[object]] = []

_Lines = WeakKeyDictionary[asyncio.AbstractEventLoop, "Line"]


class RedisStore:
    """Shares tokens between machines. Times are those of the server.

    Wrap it in `Encrypted`, or say ``plaintext=True``. A connection that others could
    listen to needs ``rediss://``, or ``allow_insecure=True``. ``cluster=True`` is for
    Redis Cluster. When the server is away every operation fails within a second, and
    soon at once, until it is back.

    Raises:
        StoreRefusedError: the URL cannot be used.
        ImportError: the extra ``redis`` is not installed.
    """

    def __init__(
        self,
        url: str | Secret,
        *,
        prefix: str = "ptm1",
        cluster: bool = False,
        allow_insecure: bool = False,
        plaintext: bool = False,
    ) -> None:
        from persona_share.stores.redis import line  # noqa: PLC0415 - needs the extra

        self._make_line = line.Line
        self._address = RedisAddress.of(url)
        self._prefix = prefix
        self._cluster = cluster
        self._allow_insecure = allow_insecure
        self._plaintext = plaintext
        self._sealed = False
        self._script = script()
        self._told = Told()
        self._circuit = Circuit()
        self._count = itertools.count(1)
        self._distrusted: set[str] = set()
        self._world: World | None = None
        self._lines: _Lines = WeakKeyDictionary()
        self._process = os.getpid()

    def expect_sealed(self) -> None:
        """Take note that everything this store gets is sealed."""
        self._sealed = True

    async def open(self, world: World) -> None:
        """Check that this is safe, and that the server answers.

        Raises:
            StoreRefusedError: others could read along, or the tokens are in clear.
            StoreUnavailableError: the server does not answer; it may later.
        """
        if not (self._sealed or self._plaintext):
            message = "Redis would get tokens in clear; wrap the store in Encrypted"
            raise StoreRefusedError(message, advice="Or say plaintext=True.")
        if not self._address.private:
            if not self._allow_insecure:
                message = "others could read what is said to this Redis"
                raise StoreRefusedError(message, advice="Use a rediss:// URL.")
            _LOG.warning("the connection to Redis is not encrypted")
        self._world = self._world or world
        await self._ask("number", "open")
        policy = await self._line().policy()
        if policy not in {None, "None", "noeviction"}:
            _LOG.warning("this Redis evicts tokens when it is full (%s)", policy)

    async def close(self) -> None:
        """Drop the connections of this event loop; using the store makes new ones."""
        if self._process == os.getpid():
            line = self._lines.pop(asyncio.get_running_loop(), None)
            if line is not None:
                await line.close()

    async def elect(
        self, key: str, owner: str, *, newer_than: int, at_least: float
    ) -> Elected:
        """Answer a usable token, or who brings one."""
        number, reply = await self._ask(
            "elect", key, owner, newer_than, milliseconds(at_least)
        )
        match reply:
            case [b"held", *_]:
                return held_of(reply)
            case [b"lead", fence, *ticket]:
                return Lead(int(fence), carried_of(ticket))
            case [b"refused", reason, left]:
                return Refused(reason.decode(), seconds_of(left))
            case [b"follow", left]:
                self._told.note(key, number)
                return Follow(seconds_of(left))
            case _:
                raise _not_understood()

    async def attach(
        self, key: str, owner: str, fence: int, ticket: Carried
    ) -> Carried | None:
        """Put a code under the leader's flight; answer the one that is to be used."""
        _, reply = await self._ask("attach", key, owner, fence, *fields_of(ticket))
        return carried_of(reply[1:])

    async def mark_sent(
        self, key: str, owner: str, fence: int, epoch: int
    ) -> float | None:
        """Note the first send under this epoch; answer how long ago that was."""
        _, reply = await self._ask("mark_sent", key, owner, fence, epoch)
        return seconds_of(reply[1]) if reply[0] == b"sent" else None

    async def publish(
        self, key: str, owner: str, fence: int, *, remaining: float, blob: bytes
    ) -> Held | None:
        """Take a new token in, or answer the newer one that is there."""
        left = milliseconds(remaining)
        _, reply = await self._ask("publish", key, owner, fence, left, blob)
        return held_of(reply) if reply[0] == b"held" else None

    async def adopt(self, key: str, *, remaining: float, blob: bytes) -> int:
        """Take in a token that no election brought; answer its generation or 0."""
        _, reply = await self._ask("adopt", key, milliseconds(remaining), blob)
        return int(reply[1])

    async def fail(
        self,
        key: str,
        owner: str,
        fence: int,
        *,
        reason: str,
        pause: float,
        keep_ticket: bool,
    ) -> None:
        """Give the lead back after a failure that all respect for a while."""
        left = milliseconds(pause)
        await self._ask("fail", key, owner, fence, reason, left, int(keep_ticket))

    async def invalidate(self, key: str, generation: int) -> None:
        """Never answer this generation again."""
        await self._ask("invalidate", key, generation)

    async def renew(self, key: str, owner: str, fence: int) -> bool:
        """Keep the lead a while longer; False when it is lost."""
        _, reply = await self._ask("renew", key, owner, fence)
        return bool(reply[0] == b"kept")

    async def offer(self, key: str, ticket: Carried) -> bool:
        """Queue a pushed code; False when it is known, over, or too many wait."""
        _, reply = await self._ask("offer", key, *fields_of(ticket))
        return bool(reply[0] == b"queued")

    async def take(self, key: str) -> Carried | None:
        """Take the waiting code that ends first."""
        number, reply = await self._ask("take", key)
        if reply[0] == b"none":
            self._told.note(key, number)
        return carried_of(reply[1:])

    async def forget(self, key: str) -> None:
        """Drop everything of this key but its fence."""
        await self._ask("forget", key)

    async def news(self, key: str, seconds: float) -> None:
        """Return when something happened to this key, or after so many seconds."""
        world, line = self._opened(), self._line()
        until, known = world.clock.now() + seconds, self._told.number(key)
        heard = line.listen(key)
        try:
            for count in itertools.count():
                number, _ = await self._ask("number", key)
                known = number if known is None else known
                left = until - world.clock.now()
                if number != known or left <= 0 or heard.done():
                    return
                pause = min(left, poll_pause(count, world.roll()))
                sleeping = asyncio.ensure_future(world.clock.sleep(pause))
                try:
                    await asyncio.wait({heard, sleeping}, return_when="FIRST_COMPLETED")
                finally:
                    sleeping.cancel()
        finally:
            line.leave(key, heard)

    # ── One question ────────────────────────────────────────────────────────────

    async def _ask(
        self, operation: str, key: str, *arguments: Any
    ) -> tuple[int, Sequence[Any]]:
        world = self._opened()
        line = self._line()
        proof = f"{next(self._count)}:{operation}:{key}"
        tag = f"{self._prefix}:{{{key}}}"
        answer = await line.evaluate(
            self._require_hope,
            [f"{tag}:r", f"{tag}:g"],
            [proof, key, f"{self._prefix}:e", operation, *arguments],
        )
        match answer:
            case [found, number, foreign, *reply] if found == proof.encode():
                self._circuit.succeeded()
                if foreign:
                    self._distrust(key)
                return int(number), reply
            case list():
                # Somebody else's answer: nothing on these connections is to be believed.
                await line.drop()
                raise _not_understood()
            case outage:
                now = world.clock.now()
                self._circuit.failed(now, world.roll(), at_once=outage.at_once)
                raise StoreUnavailableError(outage.what)

    def _require_hope(self) -> None:
        seconds = self._circuit.closed_for(self._opened().clock.now())
        if seconds > 0:
            message = "Redis failed a moment ago"
            raise StoreUnavailableError(message, retry_after=seconds)

    def _line(self) -> "Line":
        if self._process != os.getpid():
            _INHERITED.append(self._lines)
            self._lines, self._process = WeakKeyDictionary(), os.getpid()
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = self._make_line(
                self._address.url,
                self._script,
                f"{self._prefix}:e",
                self._opened(),
                cluster=self._cluster,
            )
        return line

    def _distrust(self, key: str) -> None:
        if key not in self._distrusted:
            self._distrusted.add(key)
            _LOG.warning("Redis holds something that is no record of ours; not used")

    def _opened(self) -> World:
        if self._world is None:
            message = "the store was not opened; a manager does that"
            raise RuntimeError(message)
        return self._world

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix}>"


def _not_understood() -> StoreUnavailableError:
    return StoreUnavailableError("Redis gave an answer to another question")
