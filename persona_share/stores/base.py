"""BaseStore: checks arguments, limits time, and raises one kind of error.

A subclass implements the operations as ``_read``, ``_write`` and so on, and may raise
anything there. Apart from errors for invalid arguments, callers see store errors only;
an operation ends after two seconds at most, once it is its turn.
"""

import abc
import asyncio
import hashlib
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, ClassVar, Final, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from persona_share._transport.runtime import default_runtime
from persona_share._waiting import CancelledItselfError, TimeIsUpError, within
from persona_share.errors import (
    InvalidArgumentError,
    StoreCorruptError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.ports import Runtime, Versioned


T = TypeVar("T")

#: The longest value that callers may write, in bytes.
LARGEST_VALUE: Final = 256 * 1024
#: The longest value that a store must hold, in bytes: a sealed one is a little longer.
LARGEST_STORED: Final = LARGEST_VALUE + 1024
#: The longest that one operation may last, in seconds.
TIMEOUT: Final = 2.0
#: After how many writes expired records are purged.
_PURGE_EVERY: Final = 50
#: After a failure that took this long, those who wait for their turn fail with it.
_SLOW: Final = 0.5

#: How a stored value begins. This is format 2; version 0.1 wrote another one.
_FORMAT: Final = b"ps2"
_DIGEST: Final = 16
_HEAD: Final = len(_FORMAT) + _DIGEST
_KEY: Final = re.compile(r"[a-z][a-z0-9-]{0,31}/[A-Za-z0-9_.-]{1,128}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_./-]{0,161}")


class BaseStore(abc.ABC):
    """The base class of the stores in this package; `Store` documents its operations.

    ``accepts_secrets`` is False for a store in which others could read tokens.
    """

    accepts_secrets: bool = True
    _largest: int = LARGEST_STORED
    #: How many operations run at once; the others wait for their turn.
    _concurrency: int = 32
    #: Whether operations take turns, have a time limit and raise store errors only.
    _is_guarded: bool = True
    #: The errors of broken connections, and those among them that are refusals: a
    #: password that is sent again and again may lock the account.
    _broken: tuple[type[Exception], ...] = ()
    _refusals: tuple[type[Exception], ...] = ()

    def __init__(self, runtime: Runtime | None = None) -> None:
        self._runtime = runtime or default_runtime()
        self._writes = 0
        self._queues = PerLoop(lambda: _Queue(self._concurrency))

    async def open(self) -> None:
        """Connect, and check that the store is usable."""
        try:
            await self._call(self._open, may_refuse=True)
        except StoreRefusedError:
            await self.aclose()  # the caller has nothing that it could close
            raise

    async def read(self, key: str) -> Versioned:
        """Return the record under this key as it is now."""
        _require_key(key)
        return await self._call(lambda: self._read(key))

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record if its etag is still this one; False if it is not."""
        _require_key(key)
        if isinstance(ttl, bool) or not ttl > 0:
            message = "the ttl of a record must be a number of seconds above 0"
            raise InvalidArgumentError(message)
        if value is not None and len(value) > self._largest:
            message = f"a record of {len(value)} bytes; the maximum is {LARGEST_VALUE}"
            raise InvalidArgumentError(message)
        if value is None and not if_etag:  # nothing to delete
            return (await self.read(key)).value is None
        etag = self._runtime.new_bytes(16).hex()
        written = await self._call(lambda: self._write(key, value, etag, if_etag, ttl))
        self._writes += 1
        if self._writes % _PURGE_EVERY == 0:
            with suppress(StoreError):  # the record is written all the same
                await self._call(self._purge)
        return written

    async def keys(self, prefix: str) -> AsyncGenerator[str, None]:
        """Iterate over the keys that start with this prefix."""
        if not _PREFIX.fullmatch(prefix):
            message = "a key prefix has characters that keys never have"
            raise InvalidArgumentError(message)
        pages = self._pages(prefix)
        while (page := await self._call(lambda: anext(pages, None))) is not None:
            for key in page:
                yield key

    async def aclose(self) -> None:
        """Close the connections of this event loop, within a few seconds.

        Operations under way end first. A store that is used again connects again, so
        several managers may share a store and each close it. A cancellation of the
        caller does not interrupt it.
        """
        self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        clock = self._runtime.clock
        running, detached = self._queues.get().running, {self._detach()}
        with suppress(TimeIsUpError):
            if running:
                # Each of them is cancelled after its own time limit, and then ends.
                await within(clock, 1.5 * TIMEOUT, asyncio.wait(set(running)))
            if not running:  # one of them may have connected again
                detached.add(self._detach())
        with suppress(TimeIsUpError):  # what cannot be closed is abandoned
            closing = [close() for close in detached]
            ending = asyncio.gather(*closing, return_exceptions=True)
            await within(clock, TIMEOUT, ending)

    async def _open(self) -> None:  # noqa: B027  # not each store connects
        """Connect, and check that the store is usable."""

    @abc.abstractmethod
    async def _read(self, key: str) -> Versioned: ...

    @abc.abstractmethod
    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record, or delete the one that has an etag; False: it has changed.

        In a store that repeats writes, a record that has the new etag was written.
        """

    @abc.abstractmethod
    def _pages(self, prefix: str) -> AsyncIterator[list[str]]: ...

    async def _purge(self) -> None:  # noqa: B027  # Redis does that by itself
        """Delete expired records."""

    def _detach(self) -> Callable[[], Awaitable[None]]:
        """Return what closes the present connections; the next operation makes new ones."""
        return self._aclose

    async def _aclose(self) -> None:  # noqa: B027  # not each store has connections
        """Close all connections, which no operation uses."""

    async def _drop_connections(self) -> None:  # noqa: B027  # as above
        """Close broken connections; new ones are made when they are needed."""

    async def _with_retry(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Do work, once more on fresh connections if these are broken."""
        try:
            return await work(*args)
        except self._refusals:
            raise
        except self._broken:
            await self._drop_connections()
        return await work(*args)

    def _error(self, error: BaseException) -> StoreError:
        """Return our error for another library's, whose text may hold what was sent."""
        match error:
            case StoreError():
                return error
            case TimeIsUpError():
                what = f"did not respond within {TIMEOUT:.0f} s"
            case CancelledItselfError():
                what = "abandoned the operation"
            case _:
                what = f"failed ({type(error).__name__})"
        return StoreUnavailableError(f"{self!r} {what}")

    async def _call(
        self, work: Callable[[], Awaitable[T]], *, may_refuse: bool = False
    ) -> T:
        """Run one operation when it is its turn, and raise store errors only."""
        if not self._is_guarded:
            return await work()
        queue, clock = self._queues.get(), self._runtime.clock
        joined = clock.now()
        async with queue.turns:
            started = clock.now()
            if joined < queue.failed_at:
                # Those who queued behind an operation that hung do not each hang, too.
                message = f"{self!r} did not respond a moment ago"
                raise StoreUnavailableError(message)
            try:
                return await within(clock, TIMEOUT, queue.start(work))
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - any means "unavailable"
                failure = self._error(error)
            if clock.now() - started >= _SLOW:
                queue.failed_at = clock.now()
        if isinstance(failure, StoreRefusedError) and not may_refuse:
            failure = StoreUnavailableError(failure.what, advice=failure.advice)
        # Raised here, so that no context keeps what another library said.
        raise failure


class _Queue:
    """The operations of one event loop on one store."""

    def __init__(self, concurrency: int) -> None:
        self.turns = asyncio.Semaphore(concurrency)
        self.failed_at = 0.0
        self.running: set[asyncio.Future[Any]] = set()

    def start(self, work: Callable[[], Awaitable[T]]) -> asyncio.Future[T]:
        """Start an operation, which is among those that run until it ends."""
        task = asyncio.ensure_future(work())
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task


class PerProcess(Generic[T]):
    """One object for each process: a forked child neither uses nor closes its parent's."""

    _every: ClassVar["WeakSet[PerProcess[Any]]"] = WeakSet()
    _inherited: ClassVar[list[object]] = []

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}
        self._every.add(self)

    @classmethod
    def keep_inherited(cls) -> None:
        """Keep the objects of the parent: their finalizers would disturb it."""
        for each in cls._every:
            cls._inherited += each._made.values()  # noqa: SLF001  # same class

    def get(self) -> T:
        """Return the object of this process; make it if there is none."""
        process = os.getpid()
        if process not in self._made:
            self._made.setdefault(process, self._make())
        return self._made[process]

    def pop(self) -> T | None:
        """Remove and return the object of this process, if there is one."""
        return self._made.pop(os.getpid(), None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PerProcess.keep_inherited)


class PerLoop(Generic[T]):
    """One object for each event loop of a process, such as a pool of connections."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, PerProcess[T]]
        self._made = WeakKeyDictionary()

    def _here(self) -> PerProcess[T]:
        return self._made.setdefault(asyncio.get_running_loop(), PerProcess(self._make))

    def get(self) -> T:
        """Return the object of the running event loop; make it if there is none."""
        return self._here().get()

    def pop(self) -> T | None:
        """Remove and return the object of the running event loop, if there is one."""
        return self._here().pop()


def cannot_connect(server: str) -> StoreUnavailableError:
    """Return the error of a server that cannot be reached, or accepts no connection."""
    message = f"cannot connect to {server}"
    advice = "Check that it runs, its host, port and certificate, and its limits."
    return StoreUnavailableError(message, advice=advice)


def _require_key(key: object) -> None:
    """Raise `InvalidArgumentError` unless this is ``kind/name``."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        message = "a key of a store must be kind/name, in letters, digits, '_.-'"
        raise InvalidArgumentError(message)


def pack(value: bytes, *place: str) -> bytes:
    """Return the bytes to store for a value: ``format ‖ checksum ‖ value``.

    The checksum also covers the key, so a value that was moved to another
    key is not believed. It detects accidents; against an attacker who computes checksums,
    use `Encrypted`.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for each in map(str.encode, place):  # with their lengths, so no two places collide
        digest.update(len(each).to_bytes(4, "big") + each)
    digest.update(value)
    return _FORMAT + digest.digest() + value


def unpack(data: object, *place: str) -> bytes:
    """Return the value in stored bytes, or raise `StoreCorruptError`."""
    if isinstance(data, bytes) and len(data) <= LARGEST_STORED + _HEAD:
        value = data[_HEAD:]
        if data == pack(value, *place):
            return value
    message = "a record is damaged, or was written by another version"
    raise StoreCorruptError(message)
