"""Batch: the outcomes of many objects, one after the other, as they arrive."""

import math
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

import attrs

from persona_share._policy.forecast import shortest
from persona_share.batch.crew import Crew
from persona_share.model.batch import Outcome, Plan, Progress, RateLimitStatus, Report


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a batch is told of the world around it.

    ``total`` is how many ids there are, where that can be known; ``per_token`` how
    many of them share a token. ``tokens`` answers the exchanges so far.
    """

    total: int | None
    per_token: int | None
    allowance: Callable[[], RateLimitStatus | None]
    tokens: Callable[[], int]
    emit: Callable[[Progress], object] | None


class Batch:
    """An async iterator of `Fetched` and `Failed`, in the order in which they arrive.

    Nothing is sent before the first is asked for. Asking for the next one acknowledges
    the one before. ``async with`` ends it wherever the loop is left; so does dropping
    it, a little later.
    """

    def __init__(self, crew: Crew, around: Surroundings) -> None:
        self._crew = crew
        self._tally = crew.tally
        self._around = around
        self._now = crew.clock.now
        self._tokens_before = around.tokens()
        self._began: float | None = None
        self._ended: float | None = None
        # It knows nothing of this object, so that dropping this one ends it at once.
        self._outcomes: AsyncGenerator[Outcome] = crew.outcomes()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        if self._began is None:
            self._began = self._now()
        try:
            outcome = await anext(self._outcomes)
        except BaseException:
            self._ended = self._ended or self._now()
            raise
        if self._around.emit is not None:
            self._around.emit(self.progress())
        return outcome

    async def acknowledge(self, *object_ids: str) -> None:
        """Note objects as done in the checkpoint, without asking for the next one.

        Use it for the last object before a loop is left on purpose.
        """
        checkpoint = self._crew.checkpoint
        if checkpoint is None:
            return
        if self._began is not None and self._ended is None:
            await checkpoint.note(object_ids)
            return
        await checkpoint.open()
        try:
            await checkpoint.note(object_ids)
        finally:
            await checkpoint.close()

    def plan(self) -> Plan:
        """Answer what this batch takes at least, at the limit as it stands now."""
        around, allowance = self._around, self._around.allowance()
        total = around.total
        tokens = None
        if total is not None:
            tokens = math.ceil(total / around.per_token) if around.per_token else 0
        least = None
        if total is not None and tokens is not None and allowance is not None:
            least = shortest(total + tokens, allowance)
        limit = allowance.limit if allowance else None
        return Plan(objects=total, tokens=tokens, limit=limit, shortest_for=least)

    def progress(self) -> Progress:
        """Answer how far it is."""
        tally, around = self._tally, self._around
        seconds = self._seconds()
        tried = tally.fetched + tally.failed
        rate = tried / seconds if seconds > 0 else 0.0
        window = around.allowance()
        left_for = None
        if around.total is not None:
            left = max(around.total - tally.done, 0)
            spent = timedelta(seconds=left / rate) if rate else None
            bound = shortest(left, window) if window else None
            left_for = bound or spent
        return Progress(
            at=self._now(),
            total=around.total,
            fetched=tally.fetched,
            failed=tally.failed,
            skipped=tally.skipped,
            rate=rate,
            left_for=left_for,
            window=window,
        )

    def report(self) -> Report:
        """Answer what was done so far."""
        tally = self._tally
        return Report(
            fetched=tally.fetched,
            failed=tally.failed,
            skipped=tally.skipped,
            seconds=self._seconds(),
            waits=tally.waits,
            waited=tally.waited,
            retries=tally.retries,
            tokens=self._around.tokens() - self._tokens_before,
            p50=tally.quantile(0.50),
            p95=tally.quantile(0.95),
        )

    async def aclose(self) -> None:
        """End it: what is under way is cancelled, what was acknowledged stays so."""
        self._ended = self._ended or self._now()
        await self._outcomes.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        total = "?" if self._around.total is None else self._around.total
        return f"<Batch, {self._tally.done} of {total} objects>"

    def _seconds(self) -> float:
        if self._began is None:
            return 0.0
        return (self._now() if self._ended is None else self._ended) - self._began
