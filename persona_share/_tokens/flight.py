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
from persona_share._tokens.tickets import Ticket
from persona_share.errors import (
    ExchangeUnavailableError,
    PersonaError,
    ReentrantCodeSourceError,
)
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
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
    """One exchange on its way, with those who wait for it.

    ``ticket`` is the code in hand, ``landing`` says whether it is being exchanged, and
    ``sent`` whether it left.
    """

    def __init__(
        self,
        work: Callable[["Flight"], Awaitable[Outcome]],
        *,
        clock: Clock,
        background: bool,
        landed: Callable[["Flight"], object],
    ) -> None:
        self.background = background
        self.ticket: Ticket | None = None
        self.landing = False
        self.sent = False
        self.followers = 0
        self.codes_asked = 0
        self.outcome: Outcome | None = None
        self._begun = False
        self._ending: Outcome | None = None
        self._clock = clock
        self._landed = landed
        self._waiters: dict[asyncio.Future[Outcome], Scope | None] = {}
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

    @property
    def hurried(self) -> bool:
        """Whether somebody waits for it, or did when it began."""
        return not (self.background and self.idle)

    @property
    def unwanted(self) -> bool:
        """Whether it was begun for callers, and all of them have left."""
        return self.idle and not self.background

    @property
    def asked_from_within(self) -> bool:
        """Whether whoever looks is the flight's own code source."""
        return self in _SERVING.get()

    async def wait(self, until: float, wanted: Scope | None = None) -> Outcome:
        """Wait for the end, but no longer than until this instant.

        A token that covers the ``wanted`` scope ends the wait, whoever brings it.
        Raises `ReentrantCodeSourceError` in the flight's own code source.
        """
        if self.asked_from_within:
            message = "the code source asked for the scope that it is serving"
            raise ReentrantCodeSourceError(message)
        if self.outcome is not None:
            return self.outcome
        self.followers += 1
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiters[future] = wanted
        self._end_wait_at(until, future)
        try:
            return await future
        finally:
            # After the end it is there no more, and there is nothing to withdraw.
            if future in self._waiters:
                del self._waiters[future]
                self._withdraw_if_unwanted()

    def give_up_code(self) -> None:
        """Let go of the code in hand: somebody else goes on with it."""
        self.sent = self.landing = False
        ticket, self.ticket = self.ticket, None
        if ticket is not None:
            ticket.let_go()

    def satisfy(self, entry: Entry, asked: Scope, policy: RenewalPolicy) -> None:
        """Give those whom it serves what another flight brought.

        No other code is needed where it covers all that this flight asks for.
        """
        if not self.sent and entry.covers(asked, policy):
            self.abandon(entry)
            return
        last, fits = None, False
        for future, wanted in tuple(self._waiters.items()):
            if wanted is not last:  # thousands may want the same
                last, fits = wanted, wanted is not None and entry.covers(wanted, policy)
            if fits:
                del self._waiters[future]
                if not future.done():
                    future.set_result(entry)
        self._withdraw_if_unwanted()

    def abandon(self, ending: Outcome) -> None:
        """Stop the work; those who wait learn why."""
        if self.outcome is None and self._ending is None:
            self._ending = ending
            self.task.cancel()
            if not self._begun:
                # A task that is cancelled before its first step runs nothing at all.
                self._end(ending)

    async def _run(self, work: Callable[["Flight"], Awaitable[Outcome]]) -> None:
        self._begun = True
        _SERVING.set(_SERVING.get() | {self})
        outcome: Outcome = ExchangeUnavailableError("the exchange was cut off")
        try:
            outcome = await work(self)
        except asyncio.CancelledError:
            # Without an ending of ours somebody else cancelled it: the loop shuts down.
            outcome = self._ending or outcome
        except PersonaError as error:
            outcome = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  # waiters must not hang on a mistake
            what = f"the exchange broke down: {type(error).__name__}{where(error)}"
            outcome = ExchangeUnavailableError(what)
        finally:
            self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
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
        if self.unwanted and not self.sent:
            self.abandon(Left.WITHDRAWN)

    def _end_wait_at(self, until: float, future: asyncio.Future[Outcome]) -> None:
        heapq.heappush(self._deadlines, (until, next(self._order), future))
        if until >= self._watched > self._clock.now():
            return  # else the watch is late: the machine slept, its timer did not count
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
                self._waiters.pop(future, None)
                future.set_result(Left.TIME_IS_UP)
                self._withdraw_if_unwanted()
        self._watched = float("inf")
        self._watch = None


def where(error: BaseException) -> str:
    """Say where an error was raised, without a value of it."""
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        name = code.co_filename.rpartition("/")[2]
        frames.append(f" ({name}:{traceback.tb_lineno} in {code.co_name})")
        traceback = traceback.tb_next
    return frames[-1] if frames else ""
