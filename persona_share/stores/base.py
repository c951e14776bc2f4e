"""BaseStore: checks arguments, limits time, and raises one kind of error.

A subclass implements ``_open``, ``_read``, ``_write``, ``_pages`` and ``_aclose`` and
may raise anything there. Apart from errors for invalid arguments, callers see store
errors only; an operation ends after two seconds at most, once it is its turn.
"""

import abc
import asyncio
import hashlib
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

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
_Kinds = type[Exception] | tuple[type[Exception], ...]

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
    """The base class of the stores in this package.

    ``accepts_secrets`` is False for a store in which others could read tokens.
    """

    accepts_secrets: bool = True
    _largest: int = LARGEST_STORED
    #: How many operations run at once; the others wait for their turn.
    _concurrency: int = 32
    #: The errors of broken connections, and those among them that are final.
    _broken: tuple[type[Exception], ...] = ()
    _final: tuple[type[Exception], ...] = ()
    #: Messages for errors of another library, by class; the first one that fits counts.
    #: Refusals are also raised by ``open``, with an advice.
    _messages: Mapping[_Kinds, str] = {}
    _refusals: Mapping[_Kinds, tuple[str, str]] = {}

    def __init__(self, runtime: Runtime | None = None) -> None:
        self._runtime = runtime or default_runtime()
        self._writes = 0
        self._queues = PerLoop(lambda: _Queue(self._concurrency))

    async def open(self) -> None:
        """Connect, and check that the store is usable.

        Raises:
            StoreRefusedError: the store is unsafe, or refuses these credentials.
            StoreUnavailableError: the store does not respond now.
        """
        await self._call(self._open, may_refuse=True)

    async def read(self, key: str) -> Versioned:
        """Return the record under this key as it is now.

        Raises:
            StoreCorruptError: there is a record, and it cannot be read.
            StoreUnavailableError: the store does not respond.
        """
        require_key(key)
        return await self._call(lambda: self._with_retry(lambda: self._read(key)))

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record if its etag is still this one; False if it is not.

        Raises:
            InvalidArgumentError: the value is longer than 256 KiB; nothing was sent.
            StoreUnavailableError: no response; the record may have been written.
        """
        require_key(key)
        require_writable(value, ttl, self._largest)
        written = await self._call(lambda: self._written(key, value, if_etag, ttl))
        self._writes += 1
        if self._writes % _PURGE_EVERY == 0:
            with suppress(StoreError):  # the record is written all the same
                await self._call(self._purge)
        return written

    async def keys(self, prefix: str) -> AsyncGenerator[str, None]:
        """Iterate over the keys that start with this prefix.

        Raises:
            StoreUnavailableError: the store does not respond.
        """
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
        several managers may share a store and each close it.
        """
        queue = self._queues.pop()
        for seconds in (TIMEOUT, TIMEOUT / 2):  # those that are cancelled then end
            if queue is not None and queue.running:
                ending = asyncio.gather(*queue.running, return_exceptions=True)
                with suppress(TimeIsUpError):
                    await within(self._runtime.clock, seconds, ending)
        with suppress(StoreError):  # what cannot be closed is abandoned
            await self._call(self._aclose)

    @abc.abstractmethod
    async def _open(self) -> None: ...

    @abc.abstractmethod
    async def _read(self, key: str) -> Versioned: ...

    @abc.abstractmethod
    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record, or delete the one that has an etag; False: it has changed."""

    @abc.abstractmethod
    def _pages(self, prefix: str) -> AsyncIterator[list[str]]: ...

    @abc.abstractmethod
    async def _aclose(self) -> None: ...

    async def _purge(self) -> None:  # noqa: B027  # Redis does that by itself
        """Delete expired records."""

    async def _drop_connections(self) -> None:  # noqa: B027  # not each store has any
        """Close all connections; new ones are made when they are needed."""

    async def _written(
        self, key: str, value: bytes | None, if_etag: str, ttl: float
    ) -> bool:
        if value is None and not if_etag:  # nothing to delete
            return (await self._with_retry(lambda: self._read(key))).value is None
        etag = self._runtime.new_bytes(16).hex()

        async def first() -> bool:
            return await self._write(key, value, etag, if_etag, ttl)

        async def again() -> bool:
            if await first():
                return True
            # The first try may have been the one that changed it.
            return value is not None and (await self._read(key)).etag == etag

        return await self._with_retry(first, again)

    async def _with_retry(
        self,
        work: Callable[[], Awaitable[T]],
        again: Callable[[], Awaitable[T]] | None = None,
    ) -> T:
        """Do work, once more on fresh connections if these are broken."""
        try:
            return await work()
        except self._final:
            raise
        except self._broken:
            await self._drop_connections()
        return await (again or work)()

    def _error(self, error: Exception) -> StoreError:
        """Return our error for another library's, whose text may hold what was sent."""
        name = type(error).__name__
        for refused, (words, advice) in self._refusals.items():
            if isinstance(error, refused):
                return StoreRefusedError(f"{words} ({name})", advice=advice)
        for failed, words in self._messages.items():
            if isinstance(error, failed):
                return StoreUnavailableError(words)
        return StoreUnavailableError(f"{self!r} failed ({name})")

    async def _call(
        self, work: Callable[[], Awaitable[T]], *, may_refuse: bool = False
    ) -> T:
        """Run one operation when it is its turn, and raise store errors only."""
        queue = self._queues.get()
        queue.joined += 1
        number = queue.joined
        async with queue.turns:
            if number <= queue.failed:
                # Those who queued behind an operation that hung do not each hang, too.
                message = f"{self!r} did not respond a moment ago"
                raise StoreUnavailableError(message)
            started = self._runtime.clock.now()
            try:
                return await self._limited(queue, work())
            except Exception as error:  # noqa: BLE001 - any error means "unavailable"
                failure = error if isinstance(error, StoreError) else self._error(error)
            if self._runtime.clock.now() - started >= _SLOW:
                queue.failed = queue.joined
        if isinstance(failure, StoreRefusedError) and not may_refuse:
            failure = StoreUnavailableError(failure.what, advice=failure.advice)
        # Raised here, so that no context keeps what another library said.
        raise failure

    async def _limited(self, queue: "_Queue", work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        queue.running.add(task)
        task.add_done_callback(queue.running.discard)
        try:
            return await within(self._runtime.clock, TIMEOUT, task)
        except CancelledItselfError:
            message = f"{self!r} abandoned the operation"
        except TimeIsUpError:
            message = f"{self!r} did not respond within {TIMEOUT:.0f} s"
        raise StoreUnavailableError(message)


class _Queue:
    """The operations of one event loop on one store."""

    def __init__(self, concurrency: int) -> None:
        self.turns = asyncio.Semaphore(concurrency)
        self.joined = self.failed = 0
        self.running: set[asyncio.Future[Any]] = set()


class PerProcess(Generic[T]):
    """One object for each process.

    A forked child makes its own; it neither uses nor closes the one of its parent.
    """

    _inherited: ClassVar[list[object]] = []

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._process, self._object = os.getpid(), make()

    def get(self) -> T:
        """Return the object of this process."""
        if self._process != os.getpid():
            self._inherited.append(self._object)
            self._process, self._object = os.getpid(), self._make()
        return self._object


class PerLoop(Generic[T]):
    """One object for each event loop of a process, such as a pool of connections."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._objects: PerProcess[WeakKeyDictionary[asyncio.AbstractEventLoop, T]]
        self._objects = PerProcess(WeakKeyDictionary)

    def get(self) -> T:
        """Return the object of the running event loop; make it if there is none."""
        objects, loop = self._objects.get(), asyncio.get_running_loop()
        if loop not in objects:
            objects[loop] = self._make()
        return objects[loop]

    def pop(self) -> T | None:
        """Remove and return the object of the running event loop, if there is one."""
        return self._objects.get().pop(asyncio.get_running_loop(), None)


def require_key(key: str) -> None:
    """Raise `InvalidArgumentError` unless this is ``kind/name``."""
    given: object = key
    if not isinstance(given, str) or not _KEY.fullmatch(given):
        message = "a key of a store must be kind/name, in letters, digits, '_.-'"
        raise InvalidArgumentError(message)


def require_writable(value: bytes | None, ttl: float, largest: int) -> None:
    """Raise `InvalidArgumentError` for a value or lifetime that no store can keep."""
    if isinstance(ttl, bool) or not ttl > 0:
        message = "the ttl of a record must be a number of seconds above 0"
        raise InvalidArgumentError(message)
    if value is not None and len(value) > largest:
        message = f"a record of {len(value)} bytes; the maximum is {LARGEST_VALUE}"
        raise InvalidArgumentError(message)


def pack(value: bytes, *place: str) -> bytes:
    """Return the bytes to store for a value: ``format ‖ checksum ‖ value``.

    The checksum also covers the key, so a value that was moved to another
    key is not believed. It detects accidents; against an attacker who computes checksums,
    use `Encrypted`.
    """
    return _FORMAT + _checksum(value, place) + value


def unpack(data: object, *place: str) -> bytes:
    """Return the value in stored bytes.

    Raises:
        StoreCorruptError: they are damaged, of another place, or of a later version.
    """
    if isinstance(data, bytes) and len(data) <= LARGEST_STORED + _HEAD:
        value = data[_HEAD:]
        if data[:_HEAD] == _FORMAT + _checksum(value, place):
            return value
    message = "a record is damaged, or was written by another version"
    raise StoreCorruptError(message)


def _checksum(value: bytes, place: tuple[str, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for each in map(str.encode, place):  # with their lengths, so no two places collide
        digest.update(len(each).to_bytes(4, "big") + each)
    digest.update(value)
    return digest.digest()
