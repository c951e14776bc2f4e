"""RateLimiter: calls wait here while the service's rate limit is used up."""

import asyncio
import heapq
import logging
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

from persona_share._policy.rate_limit import LimitTracker, Slot
from persona_share._protocol.http import Request, Response
from persona_share.errors import (
    Attempt,
    ClientClosedError,
    DeadlineExceededError,
    PersonaError,
    Phase,
    RateLimitedError,
)
from persona_share.model.batch import RateLimitStatus
from persona_share.model.events import CallDelayed, HookEvent, RateLimitReached
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Clock


_LOG: Final = logging.getLogger("persona_share")
# The timer fires at least this often while calls wait, as the clock may jump.
_MAX_SLEEP: Final = 1.0
# The most calls to admit, or to fail, in one iteration of the event loop.
_AT_ONCE: Final = 64
# An expected wait shorter than this is neither logged nor emitted.
_SHORT_WAIT: Final = 1.0
# A shorter wait emits no event.
_NOTICEABLE: Final = 0.1
# Window ends that differ by less than this belong to the same window.
_SAME_WINDOW: Final = 2.0
_CLOSED: Final = "the client was closed"


@attrs.define(eq=False)
class _Waiter:
    """A waiting call; ``until`` is its deadline or the end of the longest wait."""

    operation: str
    until: float
    deadline: float
    since: float
    priority: bool
    future: asyncio.Future[Slot]


class RateLimiter:
    """Admits calls first in, first out; exchanges of tokens go first.

    Below the limit, admission is one comparison. One timer, which runs only while calls
    wait, admits calls when the window opens and fails those that timed out. A cancelled
    call passes its slot to the next.
    """

    def __init__(
        self,
        clock: Clock,
        policy: RateLimitPolicy,
        tracker: LimitTracker | None = None,
        *,
        emit: Callable[[HookEvent], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._policy = policy
        #: The longest that a call waits, in seconds.
        self.max_wait: float = math.inf if policy.max_wait is None else policy.max_wait
        self._emit = emit
        self.now = clock.now
        self.tracker: LimitTracker = tracker or LimitTracker(policy)
        self._first: OrderedDict[int, _Waiter] = OrderedDict()
        self._others: OrderedDict[int, _Waiter] = OrderedDict()
        self._by_time: list[tuple[float, int]] = []
        self._numbers = 0
        self._timer: asyncio.Task[None] | None = None
        self._fires_at = math.inf
        self._continuing: asyncio.Handle | None = None
        self._announced = -math.inf
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._first) + len(self._others)

    def status(self) -> RateLimitStatus | None:
        """Return the limit as it is now, or None while it is not known."""
        return self.tracker.status(self.now(), self.waiting)

    def wait_at_most(self, seconds: float) -> None:
        """Limit how long a call waits, where the policy does not.

        Exchanges of tokens are not limited by it: other calls depend on them.
        """
        if self._policy.max_wait is None:
            self.max_wait = seconds

    def try_acquire(self, *, priority: bool = False) -> Slot | None:
        """Return a slot at once, or None if the call has to wait.

        A call with priority may also use the reserved slot.
        """
        tracker = self.tracker
        if self._first or (self._others and not priority):
            return None
        if not tracker.has_capacity(priority=priority):
            return None
        if tracker.probing:
            tracker.probes(self.now())
        return tracker.entered()

    async def acquire(self, request: Request, *, priority: bool = False) -> Slot:
        """Wait for a slot.

        Raises:
            RateLimitedError: none comes before the deadline, or within the policy's
                longest wait; nothing was sent.
            ClientClosedError: the client was closed.
        """
        if self._closed:
            raise ClientClosedError(_CLOSED, operation=request.operation)
        waiter = self._enqueue(request, priority=priority)
        number = self._numbers
        self._advance()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            self._abandon(number, waiter)
            raise
        finally:
            now = self.now()
            waited = now - waiter.since
            if waited >= _NOTICEABLE:
                event = CallDelayed(at=now, operation=request.operation, seconds=waited)
                self._emit(event)

    def responded(self, slot: Slot, response: Response) -> None:
        """Record a response, and admit the calls that fit now."""
        self.tracker.responded(slot, response, self.now())
        if self._others or self._first:
            self._advance()

    def release(self, slot: Slot, *, sent: bool = True) -> None:
        """Release the slot of a call that got no response."""
        self.tracker.left(slot, self.now(), sent=sent)
        if self._others or self._first:
            self._advance()

    async def close(self) -> None:
        """Fail every waiting call, and stop the timer."""
        self._closed = True
        for queue in (self._first, self._others):
            for waiter in queue.values():
                if not waiter.future.done():
                    error = ClientClosedError(_CLOSED, operation=waiter.operation)
                    waiter.future.set_exception(error)
            queue.clear()
        self._by_time.clear()
        await self.tracker.close()
        if self._continuing is not None:
            self._continuing.cancel()
        if (timer := self._timer) is not None:
            self._stop_timer()
            await asyncio.gather(timer, return_exceptions=True)

    # ── The queue ───────────────────────────────────────────────────────────────────

    def _enqueue(self, request: Request, *, priority: bool) -> _Waiter:
        now = self.now()
        until = request.deadline
        if not priority:
            until = min(until, now + self.max_wait)
        future = asyncio.get_running_loop().create_future()
        waiter = _Waiter(
            request.operation, until, request.deadline, now, priority, future
        )
        self._numbers += 1
        queue = self._first if priority else self._others
        queue[self._numbers] = waiter
        heapq.heappush(self._by_time, (until, self._numbers))
        return waiter

    def _get(self, number: int) -> _Waiter | None:
        return self._first.get(number, self._others.get(number))

    def _remove(self, number: int) -> None:
        if self._first.pop(number, None) is None:
            self._others.pop(number, None)

    def _abandon(self, number: int, waiter: _Waiter) -> None:
        """Remove a cancelled call, or pass its slot to the next one."""
        future = waiter.future
        if self._get(number) is waiter:
            self._remove(number)
            self._shrink()
        elif future.done() and not future.cancelled() and future.exception() is None:
            self.release(future.result(), sent=False)
        if not self.waiting:
            self._stop_timer()

    def _shrink(self) -> None:
        """Rebuild the heap when most of its entries are obsolete."""
        if len(self._by_time) > 2 * self.waiting + _AT_ONCE:
            self._by_time = [
                (waiter.until, number)
                for queue in (self._first, self._others)
                for number, waiter in queue.items()
            ]
            heapq.heapify(self._by_time)

    # ── Progress ────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        """Admit calls, fail waits that timed out, and set the timer."""
        now = self.now()
        self._admit(now)
        if self.waiting:
            self.tracker.wanted(self.waiting, self._advance)
            self._expire(now)
        if not self.waiting:
            self._stop_timer()
        elif self._continuing is None:
            self._announce(now)
            self._set_timer(now)

    def _admit(self, now: float) -> None:
        tracker = self.tracker
        for _ in range(_AT_ONCE):
            queue = self._first or self._others
            if not queue:
                return
            capacity = tracker.has_capacity(priority=queue is self._first)
            if not capacity and not tracker.may_probe(now):
                return
            if not capacity or tracker.probing:
                tracker.probes(now)
            _, waiter = queue.popitem(last=False)
            if not waiter.future.done():  # else it was cancelled just before
                waiter.future.set_result(tracker.entered())
        self._continue_soon()

    def _expire(self, now: float) -> None:
        """Fail the waits that timed out, or will before a slot can be free."""
        opens_at = max(self.tracker.opens_at, now)
        end = opens_at if self.tracker.spent else now
        for _ in range(_AT_ONCE):
            if not self._by_time or self._by_time[0][0] > end:
                return
            _, number = heapq.heappop(self._by_time)
            waiter = self._get(number)
            if waiter is not None:
                self._remove(number)
                if not waiter.future.done():
                    waiter.future.set_exception(self._too_late(waiter, now, opens_at))
        self._continue_soon()

    def _continue_soon(self) -> None:
        """Continue in the next iteration of the event loop, after other tasks."""
        if self.waiting and self._continuing is None:
            loop = asyncio.get_running_loop()
            self._continuing = loop.call_soon(self._continue)

    def _continue(self) -> None:
        self._continuing = None
        self._advance()

    def _too_late(
        self, waiter: _Waiter, now: float, opens_at: float
    ) -> RateLimitedError | DeadlineExceededError:
        """Return the error of a call that has waited for as long as allowed."""
        waited = now - waiter.since
        attempts = (Attempt(Phase.NOT_SENT, "rate limit"),)
        if self.tracker.probing:
            return DeadlineExceededError(
                f"waited {waited:.1f} s for the response to another call, from which the"
                " rate limit is learned",
                operation=waiter.operation,
                phase=Phase.NOT_SENT,
                attempts=attempts,
            )
        opens_in = max(opens_at - now, 0.0)
        limit = "deadline" if waiter.until >= waiter.deadline else "longest wait"
        return RateLimitedError(
            f"waited {waited:.1f} s for the rate limit; its window opens in"
            f" {opens_in:.0f} s, after the call's {limit}",
            operation=waiter.operation,
            phase=Phase.NOT_SENT,
            attempts=attempts,
            retry_after=max(math.ceil(opens_in), 1),
        )

    def _announce(self, now: float) -> None:
        """Log and emit that calls wait, once per window."""
        opens_at = self.tracker.opens_at
        if opens_at - now < _SHORT_WAIT or opens_at < self._announced + _SAME_WINDOW:
            return
        self._announced = opens_at
        status = self.status()
        limit = status.limit if status is not None else None
        _LOG.info(
            "rate limit reached (limit %s): %d calls wait, the window opens in %.0f s",
            limit,
            self.waiting,
            opens_at - now,
        )
        event = RateLimitReached(
            at=now, waiting=self.waiting, opens_in=opens_at - now, limit=limit
        )
        self._emit(event)

    def _set_timer(self, now: float) -> None:
        """Make the timer fire when a call can next be admitted or time out."""
        nearest = self._by_time[0][0] if self._by_time else math.inf
        fires_at = min(max(self.tracker.opens_at, now), nearest, now + _MAX_SLEEP)
        if self._timer is not None and self._fires_at <= fires_at:
            return
        self._stop_timer()
        self._fires_at = fires_at
        self._timer = asyncio.create_task(self._run_timer(fires_at - now))

    async def _run_timer(self, seconds: float) -> None:
        await self._clock.sleep(max(seconds, 0.0))
        self._timer = None
        self._advance()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def was_unsent(error: BaseException) -> bool:
    """Return whether it is known that a call that failed was never sent."""
    return isinstance(error, PersonaError) and error.phase is Phase.NOT_SENT
