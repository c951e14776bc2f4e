"""SQLiteStore: tokens in a file, for all processes of one machine."""

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import attrs

from persona_share._policy.election import poll_pause
from persona_share.errors import StoreUnavailableError
from persona_share.ports import Runtime
from persona_share.stores._changing import Change, Changing
from persona_share.stores.sqlite.database import Database
from persona_share.stores.sqlite.journal import Journal


T = TypeVar("T")
_LOG: Final = logging.getLogger("persona_share")
#: What a child inherited through a fork. It is neither used nor closed there: closing
#: would drop locks, or fold a log, that are still its parent's (T28).
_INHERITED: Final[list[object]] = []


class SQLiteStore(Changing):
    """Shares tokens between the processes of one machine, and keeps them over restarts.

    The file is made with access for this user alone; one that others could read or
    swap is refused with `StoreRefusedError`. It holds tokens and codes as they are
    unless `Encrypted` wraps the store. Times are the machine's wall time.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._path = Path(path).absolute()
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._runtime: Runtime | None = None

    async def open(self, runtime: Runtime) -> None:
        """Make or check the file.

        Raises:
            StoreRefusedError: others could read it, or it is not ours.
            StoreUnavailableError: it cannot be made or read now.
        """
        with self._lock:
            if self._runtime is None:
                self._runtime = runtime
                runtime.after_fork(self._after_fork)
        await self._do(lambda database: database.open())

    async def close(self) -> None:
        """Let go of the file and end the thread; using the store opens it again."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None and worker.process == os.getpid():
            await worker.end()

    async def change(
        self, key: str, change: Change[T], *, announce: bool = False
    ) -> tuple[T, int]:
        """Apply a change to a key's record, in a transaction."""
        return await self._do(
            lambda database: database.apply(key, change, announce=announce)
        )

    async def news(self, key: str, seconds: float) -> None:
        """Return when something happened to this key, or after so many seconds."""
        runtime = self._opened()
        until = runtime.clock.now() + seconds
        known = self.told.number(key)
        for count in itertools.count():
            number = await self._do(lambda database: database.number(key))
            known = number if known is None else known
            left = until - runtime.clock.now()
            if number != known or left <= 0:
                return
            await runtime.clock.sleep(min(left, poll_pause(count, runtime.random())))

    async def names(self) -> list[str]:
        """Answer every name."""
        return await self._do(lambda database: database.names())

    async def info(self) -> Journal:
        """Answer which journal the file has, and why."""
        return await self._do(lambda database: database.journal)

    async def _do(self, work: Callable[[Database], T]) -> T:
        return await self._working(self._opened()).do(work)

    def _working(self, runtime: Runtime) -> "_Worker":
        with self._lock:
            worker = self._worker
            if worker is not None and worker.process != os.getpid():
                _INHERITED.append(worker)
                worker = None
            if worker is None:
                worker = self._worker = _Worker(self._database(runtime))
        return worker

    def _database(self, runtime: Runtime) -> Database:
        clock = runtime.clock
        return Database(
            self._path,
            now=lambda: clock.wall().timestamp(),
            stamp=lambda: clock.wall().strftime("%Y%m%dT%H%M%SZ"),
            random=runtime.random,
            warn=lambda what: _LOG.warning("token store %s: %s", self._path.name, what),
        )

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it

    def _opened(self) -> Runtime:
        if self._runtime is None:
            message = "the store was not opened; a manager does that"
            raise RuntimeError(message)
        return self._runtime

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path.name}>"


@attrs.define(eq=False)
class _Worker:
    """The one thread that touches the file; no daemon, and joined at the end.

    When the file stays locked, those who queued up meanwhile fail with the first and do
    not each wait as long again.
    """

    database: Database
    process: int = attrs.field(factory=os.getpid)
    _thread: ThreadPoolExecutor = attrs.field(
        factory=lambda: ThreadPoolExecutor(1, "persona_share-sqlite")
    )
    _asked: int = 0
    _failed: int = 0

    async def do(self, work: Callable[[Database], T]) -> T:
        """Answer what the work answers, done in the thread."""
        self._asked += 1
        turn = self._asked
        return await asyncio.wrap_future(self._thread.submit(self._run, work, turn))

    async def end(self) -> None:
        """Let go of the file, and wait for the thread."""
        closing = self._thread.submit(self.database.close)
        try:
            await asyncio.shield(asyncio.wrap_future(closing))
        finally:
            # By now it has nothing else to do, or nobody has the time to wait for it.
            self._thread.shutdown(wait=closing.done())

    def _run(self, work: Callable[[Database], T], turn: int) -> T:
        if turn <= self._failed:
            message = "the file could not be used a moment ago"
            raise StoreUnavailableError(message)
        try:
            return work(self.database)
        except StoreUnavailableError:
            self._failed = self._asked
            raise
