"""The belt between the one that reads ids and those that retrieve.

It is filled in one go and used up to the half before it is filled again: a queue that
wakes the reader for every single job costs a turn of the event loop for each.
"""

import asyncio
from collections import deque

from persona_share.batch.opening import Job


class Belt:
    """Jobs that wait, at most so many; for one reader and any number of takers."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: deque[Job] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._open = 0
        self._refill = 0

    async def put(self, job: Job) -> None:
        """Add a job, and wait for room where there is none for another."""
        self._open += 1
        self._jobs.append(job)
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                break
        if len(self._jobs) >= self._size:
            await self._until(self._size // 2)

    async def take(self) -> Job:
        """Take the job that waits longest, as soon as there is one."""
        while not self._jobs:
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            await taker
        job = self._jobs.popleft()
        self._wake()
        return job

    def done(self) -> None:
        """Note that a job that was taken is dealt with."""
        self._open -= 1
        self._wake()

    async def idle(self) -> None:
        """Return when every job is dealt with."""
        while self._open:
            await self._until(-1)

    async def _until(self, waiting: int) -> None:
        """Sleep until no more than so many jobs wait; below 0, until all are done."""
        self._refill = waiting
        self._reader = asyncio.get_running_loop().create_future()
        await self._reader

    def _wake(self) -> None:
        reader = self._reader
        if reader is None:
            return
        enough = not self._open if self._refill < 0 else len(self._jobs) <= self._refill
        if enough and not reader.done():
            reader.set_result(None)
