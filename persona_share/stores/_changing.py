"""What the stores that run Python have in common: one change of one record at a time.

Each operation is a function of `_policy.election`, applied by the store in a way that
nobody can come between. A store says how (`change`), and nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, TypeVar

from persona_share._policy import election
from persona_share._policy.election import Carried, Elected, Follow, Held
from persona_share._protocol.stored import Record


T = TypeVar("T")
Change = Callable[[Record, float], tuple[Record, T]]
#: So many keys are remembered of which somebody waits for news.
_AWAITED: Final = 10_000


class Told:
    """What number a key's last announcement had when somebody was told to wait.

    A later announcement must wake them, even if it came before they began to listen.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def note(self, key: str, number: int) -> None:
        """Note that somebody is told to wait now."""
        if key not in self._numbers and len(self._numbers) >= _AWAITED:
            self._numbers.pop(next(iter(self._numbers)), None)
        self._numbers[key] = number

    def number(self, key: str) -> int | None:
        """Answer the number of the last time, or None."""
        return self._numbers.get(key)


class Changing(ABC):
    """The operations of a `TokenStore`, by changes of records."""

    def __init__(self) -> None:
        self.told: Told = Told()

    @abstractmethod
    async def change(
        self, key: str, change: Change[T], *, announce: bool = False
    ) -> tuple[T, int]:
        """Apply a change to a key's record; answer its answer and the key's number.

        The number grows with each announced change.
        """

    async def look(self, name: str) -> election.Look:
        """Answer how a name stands, without changing anything."""
        answer, _ = await self.change(name, election.look)
        return answer

    async def drop(self, name: str) -> None:
        """Drop everything of a name but its fence."""
        await self.change(
            name, lambda record, _: (election.forget(record), None), announce=True
        )

    async def elect(
        self, key: str, owner: str, *, newer_than: int, at_least: float
    ) -> Elected:
        """Answer a usable token, or who brings one."""
        answer, number = await self.change(
            key,
            lambda record, now: election.elect(
                record, now, owner, newer_than=newer_than, at_least=at_least
            ),
        )
        if isinstance(answer, Follow):
            self.told.note(key, number)
        return answer

    async def attach(
        self, key: str, owner: str, fence: int, ticket: Carried
    ) -> Carried | None:
        """Put a code under the leader's flight; answer the one that is to be used."""
        answer, _ = await self.change(
            key, lambda record, now: election.attach(record, now, owner, fence, ticket)
        )
        return answer

    async def mark_sent(
        self, key: str, owner: str, fence: int, epoch: int
    ) -> float | None:
        """Note the first send under this epoch; answer how long ago that was."""
        answer, _ = await self.change(
            key,
            lambda record, now: election.mark_sent(record, now, owner, fence, epoch),
        )
        return answer

    async def publish(
        self, key: str, owner: str, fence: int, *, remaining: float, blob: bytes
    ) -> Held | None:
        """Take a new token in, or answer the newer one that is there."""
        answer, _ = await self.change(
            key,
            lambda record, now: election.publish(
                record, now, owner, fence, remaining=remaining, blob=blob
            ),
            announce=True,
        )
        return answer

    async def adopt(self, key: str, *, remaining: float, blob: bytes) -> int:
        """Take in a token that no election brought; answer its generation or 0."""
        answer, _ = await self.change(
            key,
            lambda record, now: election.adopt(
                record, now, remaining=remaining, blob=blob
            ),
            announce=True,
        )
        return answer

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
        await self.change(
            key,
            lambda record, now: (
                election.fail(
                    record,
                    now,
                    owner,
                    fence,
                    reason=reason,
                    pause=pause,
                    keep_ticket=keep_ticket,
                ),
                None,
            ),
            announce=True,
        )

    async def invalidate(self, key: str, generation: int) -> None:
        """Never answer this generation again."""
        await self.change(
            key,
            lambda record, _: (election.invalidate(record, generation), None),
            announce=True,
        )

    async def renew(self, key: str, owner: str, fence: int) -> bool:
        """Keep the lead a while longer; False when it is lost."""
        answer, _ = await self.change(
            key, lambda record, now: election.renew(record, now, owner, fence)
        )
        return answer

    async def offer(self, key: str, ticket: Carried) -> bool:
        """Queue a pushed code; False when it is known, over, or too many wait."""
        answer, _ = await self.change(
            key, lambda record, now: election.offer(record, now, ticket), announce=True
        )
        return answer

    async def take(self, key: str) -> Carried | None:
        """Take the waiting code that ends first."""
        answer, number = await self.change(key, election.take)
        if answer is None:
            self.told.note(key, number)
        return answer

    async def forget(self, key: str) -> None:
        """Drop everything of this key but its fence."""
        await self.change(
            key, lambda record, _: (election.forget(record), None), announce=True
        )
