"""RedisStore: tokens in Redis or Valkey, for all processes of all machines."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Any, Final

from persona_share._policy.election import (
    Carried,
    Elected,
    Follow,
    Held,
    Lead,
    Look,
    Refused,
    poll_pause,
)
from persona_share._policy.election_script import script
from persona_share.errors import StoreRefusedError
from persona_share.model.secret import Secret
from persona_share.ports import Runtime
from persona_share.stores._changing import Told
from persona_share.stores.redis.asking import Asking, not_understood
from persona_share.stores.redis.replies import (
    carried_of,
    fields_of,
    held_of,
    milliseconds,
    seconds_of,
)


_LOG: Final = logging.getLogger("persona_share")


class RedisStore(Asking):
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
        super().__init__(
            url,
            script(),
            prefix=prefix,
            cluster=cluster,
            allow_insecure=allow_insecure,
        )
        self._plaintext = plaintext
        self._sealed = False
        self._told = Told()
        self._distrusted: set[str] = set()

    def expect_sealed(self) -> None:
        """Take note that everything this store gets is sealed."""
        self._sealed = True

    async def open(self, runtime: Runtime) -> None:
        """Check that this is safe, and that the server answers.

        Raises:
            StoreRefusedError: others could read along, or the tokens are in clear.
            StoreUnavailableError: the server does not answer; it may later.
        """
        if not (self._sealed or self._plaintext):
            message = "Redis would get tokens in clear; wrap the store in Encrypted"
            raise StoreRefusedError(message, advice="Or say plaintext=True.")
        await super().open(runtime)
        await self._ask("number", "open")
        policy = await self._line().policy()
        if policy not in {None, "None", "noeviction"}:
            _LOG.warning("this Redis evicts tokens when it is full (%s)", policy)

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
                raise not_understood()

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

    async def names(self) -> list[str]:
        """Answer every name."""
        start, end = f"{self._prefix}:{{", "}:r"
        found = await self._line().keys(f"{start}*{end}")
        return sorted(key[len(start) : -len(end)] for key in found)

    async def look(self, name: str) -> Look:
        """Answer how a name stands, without changing anything."""
        _, (_, leading, refused, codes, *held) = await self._ask("look", name)
        return Look(
            held_of(held) if held else None,
            seconds_of(leading),
            seconds_of(refused),
            int(codes),
        )

    async def drop(self, name: str) -> None:
        """Drop everything of a name but its fence."""
        await self.forget(name)

    async def news(self, key: str, seconds: float) -> None:
        """Return when something happened to this key, or after so many seconds."""
        runtime, line = self._opened(), self._line()
        until, known = runtime.clock.now() + seconds, self._told.number(key)
        heard = line.listen(key)
        try:
            for count in itertools.count():
                number, _ = await self._ask("number", key)
                known = number if known is None else known
                left = until - runtime.clock.now()
                if number != known or left <= 0 or heard.done():
                    return
                pause = min(left, poll_pause(count, runtime.random()))
                sleeping = asyncio.ensure_future(runtime.clock.sleep(pause))
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
        tag = f"{self._prefix}:{{{key}}}"
        number, foreign, reply = await self.ask(
            f"{operation}:{key}",
            [f"{tag}:r", f"{tag}:g"],
            key,
            f"{self._prefix}:e",
            operation,
            *arguments,
        )
        if foreign:
            self._distrust(key)
        return int(number), reply

    def _distrust(self, key: str) -> None:
        if key not in self._distrusted:
            self._distrusted.add(key)
            _LOG.warning("Redis holds something that is no record of ours; not used")

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix}>"
