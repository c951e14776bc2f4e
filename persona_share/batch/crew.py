"""The crew of a batch: one task that reads ids, and several that retrieve objects.

Between them, and between them and whoever takes the outcomes, are short queues: a slow
taker slows everybody down, and nothing piles up however many ids there are.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable

import attrs

from persona_share.batch.belt import Belt
from persona_share.batch.brake import Brake
from persona_share.batch.opening import Job, Opening
from persona_share.batch.order import Ids
from persona_share.batch.tally import Tally
from persona_share.errors import (
    ClientClosedError,
    ManagerClosedError,
    NotOpenError,
    PersonaError,
    Phase,
    RateLimitedError,
    TokenError,
    WrongEventLoopError,
)
from persona_share.model.batch import Failed, Fetched, Outcome
from persona_share.ports import Checkpoint, Clock


# After one of these no object can be fetched any more.
_FINAL = ClientClosedError | ManagerClosedError | NotOpenError | WrongEventLoopError


@attrs.frozen
class _End:
    """Nothing follows; ``error`` says why, where it is not the end of the ids."""

    error: BaseException | None = None


@attrs.define(eq=False, kw_only=True)
class Crew:
    """Fetches what the ids name; `outcomes` may be gone through once."""

    ids: Ids
    opening: Opening
    clock: Clock
    brake: Brake
    tally: Tally
    concurrency: int
    checkpoint: Checkpoint | None
    _belt: Belt = attrs.field(init=False)
    _outcomes: asyncio.Queue[Outcome | _End] = attrs.field(init=False)
    #: Objects whose token ended before they were sent for: they get another one.
    _again: list[str] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._belt = Belt(self.concurrency)
        self._outcomes = asyncio.Queue(self.concurrency)

    async def outcomes(self) -> AsyncGenerator[Outcome]:
        """Go through the outcomes as they arrive.

        Whoever asks for the next one has acknowledged the one before; the checkpoint
        holds that before anything else happens.
        """
        checkpoint = self.checkpoint
        if checkpoint is not None:
            await checkpoint.open()
        tasks = [asyncio.create_task(self._lead())]
        tasks += [asyncio.create_task(self._work()) for _ in range(self.concurrency)]
        try:
            while not isinstance(found := await self._outcomes.get(), _End):
                self.tally.count(found)
                yield found
                if checkpoint is not None and isinstance(found, Fetched):
                    await checkpoint.note((found.id,))
        finally:
            for task in tasks:
                task.cancel()
            try:
                await asyncio.wait(tasks)
            finally:
                if checkpoint is not None:
                    await checkpoint.close()
        if found.error is not None:
            raise found.error

    # ── The one that reads ──────────────────────────────────────────────────────

    async def _lead(self) -> None:
        error: BaseException | None = None
        try:
            async for chunk in self._chunks():
                await self._feed(chunk, fresh=True)
                if len(self._again) >= self.opening.size:
                    await self._feed_again()
            await self._belt.idle()
            while self._again:
                await self._feed_again()
                await self._belt.idle()
        except Exception as failure:  # noqa: BLE001 — it is raised where outcomes go
            error = failure
            await self._belt.idle()
        await self._outcomes.put(_End(error))

    async def _chunks(self) -> AsyncIterator[list[str]]:
        """Go through the ids in chunks, without those acknowledged before."""
        chunk: list[str] = []
        ids = self.ids
        # Whoever brings ids one by one need not wait until a chunk is full, unless
        # the chunk is what shares a token.
        async for each in ids if isinstance(ids, AsyncIterable) else _stepped(ids):
            chunk.append(each)
            if len(chunk) >= self.opening.size:
                yield await self._unknown(chunk)
                chunk = []
        if chunk:
            yield await self._unknown(chunk)

    async def _unknown(self, chunk: list[str]) -> list[str]:
        if self.checkpoint is None:
            return chunk
        # What is no text is not looked up; it fails where it would become a job.
        known = await self.checkpoint.known([each for each in chunk if _is_text(each)])
        unknown = [each for each in chunk if not _is_text(each) or each not in known]
        self.tally.skipped += len(chunk) - len(unknown)
        return unknown

    async def _feed_again(self) -> None:
        chunk = self._again[: self.opening.size]
        del self._again[: self.opening.size]
        await self._feed(chunk, fresh=False)

    async def _feed(self, chunk: list[str], *, fresh: bool) -> None:
        async for each in self.opening.jobs(chunk, fresh=fresh):
            if isinstance(each, Failed):
                await self._outcomes.put(each)
            else:
                await self._belt.put(each)

    # ── Those that retrieve ─────────────────────────────────────────────────────

    async def _work(self) -> None:
        belt, outcomes = self._belt, self._outcomes
        while True:
            job = await belt.take()
            try:
                outcome = await self._outcome(job)
            except Exception as error:  # noqa: BLE001 — it is raised where outcomes go
                await outcomes.put(_End(error))
                return
            if outcome is not None:
                await outcomes.put(outcome)
            belt.done()

    async def _outcome(self, job: Job) -> Outcome | None:
        """Retrieve an object; None where it is to get another token first."""
        while True:
            if self.brake.held:
                await self.brake.over()
            try:
                resource = await job.retrieve(job.id)
            except PersonaError as error:
                if isinstance(error, _FINAL):
                    raise
                if (
                    isinstance(error, RateLimitedError)
                    and error.phase is Phase.NOT_SENT
                ):
                    # There was no place in time: this object's turn is yet to come.
                    await self.clock.sleep(error.retry_after or 1.0)
                    continue
                return self._failed(job, error)
            self.brake.worked()
            return Fetched(job.id, resource)

    def _failed(self, job: Job, error: PersonaError) -> Outcome | None:
        if error.retryable:
            self.brake.failed()
            if job.fresh and isinstance(error, TokenError):
                self._again.append(job.id)
                return None
        return Failed(job.id, error)


def _is_text(given: object) -> bool:
    return isinstance(given, str)


async def _stepped(ids: Iterable[str]) -> AsyncIterator[str]:
    for each in ids:
        yield each
