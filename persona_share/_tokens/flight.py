"""A flight: the one operation that changes an entry, however many wait for it.

The flight is a task of its own, outside every caller's cancel scope. A caller only
waits for its end on a future of its own, so that cancelling any caller, or all of
them, touches nothing else and is seen by that caller at once.
"""

import asyncio
import enum
import heapq
import itertools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

from persona_share._tokens.entries import Entry
from persona_share.errors import (
    ExchangeUnavailableError,
    PersonaError,
    ReentrantCodeSourceError,
)
from persona_share.ports import Clock


# Which flights a piece of code is being run for: a code source that asks for the scope
# it is serving would wait for itself.
_SERVING: Final[ContextVar[frozenset["Flight"]]] = ContextVar(
    "persona_share_serving", default=frozenset()
)


class Left(enum.Enum):
    """How a wait ends without a result of the flight."""

    TIME_IS_UP = enum.auto()
    WITHDRAWN = enum.auto()


Outcome = Entry | PersonaError | Left


class Flight:
    """One exchange on its way, with those who wait for it."""

    def __init__(
        self,
        work: Callable[["Flight"], Awaitable[Outcome]],
        *,
        clock: Clock,
        background: bool,
        landed: Callable[["Flight"], object],
    ) -> None:
        self.background = background
        self.sent = False
        self.followers = 0
        self.codes_asked = 0
        self.outcome: Outcome | None = None
        self._ending: Outcome = Left.WITHDRAWN
        self._abandoned = False
        self._clock = clock
        self._landed = landed
        self._waiters: dict[asyncio.Future[Outcome], None] = {}
        self._deadlines: list[tuple[float, int, asyncio.Future[Outcome]]] = []
        self._order = itertools.count()
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.Task[None] | None = None
        self._watched = float("inf")
        self.task = self._loop.create_task(self._run(work))

    @property
    def idle(self) -> bool:
        """Whether nobody waits for it."""
        return not self._waiters

    async def wait(self, until: float) -> Outcome:
        """Wait for the end, but no longer than until this instant.

        Raises `ReentrantCodeSourceError` in the flight's own code source.
        """
        if self in _SERVING.get():
            message = "the code source asked for the scope that it is serving"
            raise ReentrantCodeSourceError(message)
        if self.outcome is not None:
            return self.outcome
        self.followers += 1
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiters[future] = None
        self._end_wait_at(until, future)
        try:
            return await future
        finally:
            self._waiters.pop(future, None)
            self._withdraw_if_unwanted()

    def satisfy(self, entry: Entry) -> None:
        """Give those who wait what another flight brought."""
        self._resolve(entry)
        self._withdraw_if_unwanted()

    def abandon(self, ending: PersonaError | Left) -> None:
        """Stop the work; those who wait learn why."""
        if self.outcome is None and not self._abandoned:
            self._abandoned = True
            self._ending = ending
            self.task.cancel()

    async def _run(self, work: Callable[["Flight"], Awaitable[Outcome]]) -> None:
        _SERVING.set(_SERVING.get() | {self})
        outcome: Outcome = self._ending
        try:
            outcome = await work(self)
        except asyncio.CancelledError:
            outcome = self._ending
        except PersonaError as error:
            outcome = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  # waiters must not hang on a mistake
            what = f"the exchange broke down ({type(error).__name__})"
            outcome = ExchangeUnavailableError(what)
        finally:
            if self._watch is not None:
                self._watch.cancel()
            self.outcome = outcome
            self._landed(self)
            self._resolve(outcome)

    def _resolve(self, outcome: Outcome) -> None:
        waiters, self._waiters = self._waiters, {}
        self._deadlines.clear()
        for future in waiters:
            if not future.done():
                future.set_result(outcome)

    def _withdraw_if_unwanted(self) -> None:
        if self.idle and not self.sent and not self.background:
            self.abandon(Left.WITHDRAWN)

    def _end_wait_at(self, until: float, future: asyncio.Future[Outcome]) -> None:
        heapq.heappush(self._deadlines, (until, next(self._order), future))
        if until >= self._watched:
            return
        if self._watch is not None:
            self._watch.cancel()
        self._watched = until
        self._watch = self._loop.create_task(self._end_waits())

    async def _end_waits(self) -> None:
        while self._deadlines:
            until, _, future = self._deadlines[0]
            self._watched = until
            now = self._clock.now()
            if until > now and not future.done():
                await self._clock.sleep(until - now)
                continue
            heapq.heappop(self._deadlines)
            if not future.done():
                future.set_result(Left.TIME_IS_UP)
        self._watched = float("inf")
        self._watch = None
