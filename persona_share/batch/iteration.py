"""The consumer's side of batches and copies: one outcome after another, from a task."""

import abc
import asyncio
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from persona_share.batch.workers import End
from persona_share.errors import UsageError


T = TypeVar("T")


class Worker(Protocol):
    """Puts outcomes into a queue; the last one is an `End`."""

    @property
    def outcomes(self) -> "asyncio.Queue[Any]":
        """The queue."""
        ...

    async def run(self) -> None:
        """Work until everything is done."""
        ...

    def release_lock(self) -> None:
        """Release the checkpoint, if there is one; a second call does nothing."""
        ...


class OutcomeIterator(abc.ABC, Generic[T]):
    """An async iterator over the outcomes of a worker, which runs as a task.

    The task holds the worker and not this object, so that dropping this object ends
    the task. A time-out or a cancellation around one ``anext()`` loses nothing.
    """

    def __init__(self, worker: Worker, now: Callable[[], float]) -> None:
        self._worker = worker
        self._now = now
        self._started: float | None = None
        self._ended: float | None = None
        self._closed = False
        self._entered = False
        self._iterating = False
        self._task: asyncio.Task[None] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._iterating:
            message = "another task waits for the next outcome"
            raise UsageError(message)
        self._iterating = True
        try:
            outcome = await self._next()
        finally:
            self._iterating = False
        # From here on nothing is awaited but the end, so that no outcome is lost.
        if isinstance(outcome, End):
            await self._finish()
            if outcome.error is not None:
                raise outcome.error
            raise StopAsyncIteration
        return outcome

    async def _next(self) -> T | End:
        if self._closed:
            return End()
        if self._task is None:
            await self.open()
            self._start()
        outcome: T | End = await self._worker.outcomes.get()
        return outcome

    def _start(self) -> None:
        if self._started is None:
            self._started = self._now()
        self._task = asyncio.create_task(self._worker.run())
        self._finalizer = weakref.finalize(self, _abandon, self._task, self._worker)
        self._finalizer.atexit = False

    def _seconds(self) -> float:
        if self._started is None:
            return 0.0
        return (self._now() if self._ended is None else self._ended) - self._started

    @abc.abstractmethod
    async def open(self) -> None:
        """Lock the checkpoint, if there is one, before anything else is done."""

    async def aclose(self) -> None:
        """End it: calls in flight are cancelled, acknowledged objects stay so."""
        self._entered = False
        await self._finish()

    async def _finish(self) -> None:
        self._closed = True
        if self._ended is None:
            self._ended = self._now()
        if self._finalizer is not None:
            self._finalizer.detach()
        try:
            if self._task is not None and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])
        finally:
            if not self._worker.outcomes.full():
                self._worker.outcomes.put_nowait(End())  # another task may wait for it
            if not self._entered:
                self._worker.release_lock()

    async def __aenter__(self) -> Self:
        self._entered = True
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _abandon(task: "asyncio.Task[None]", worker: Worker) -> None:
    """End the task of an iterator that no caller references."""
    if not task.done() and not task.get_loop().is_closed():
        task.cancel()
    worker.release_lock()
