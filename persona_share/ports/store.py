"""The protocols of a store, and of a rate limit that processes share."""

from collections.abc import AsyncIterator
from typing import Protocol, TypeGuard, runtime_checkable

import attrs

from persona_share._policy.shared_limit import Share
from persona_share._protocol.limits import Seen
from persona_share.ports.calls import Runtime


@attrs.frozen
class Versioned:
    """A record as it was read.

    ``value`` is None and ``etag`` is ``""`` if there is none. ``now`` is the time of
    the store's clock, in seconds; only times of the same store compare.
    """

    value: bytes | None = attrs.field(repr=False)
    etag: str
    now: float


@runtime_checkable
class Store(Protocol):
    """Keeps small records under keys, for several managers or processes.

    Every operation raises `StoreUnavailableError` if the store cannot do it, and its
    subclass `StoreCorruptError` if one record cannot be read. Losing a race is not an
    error: `write` then returns False.
    """

    async def open(self) -> None:
        """Connect, and check that the store is usable; a second call does nothing.

        Raises `StoreRefusedError` for what will not change without an operator.
        """
        ...

    async def read(self, key: str) -> Versioned:
        """Return the record under this key as it is now."""
        ...

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record if its etag is still this one; ``""`` means absent.

        ``value=None`` deletes it. The record expires ``ttl`` seconds after the write,
        or never for ``math.inf``. Return False if the record was not as expected.
        After an error nobody knows whether the record was written: read it again.
        """
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys that start with this prefix, in no certain order."""
        ...

    async def aclose(self) -> None:
        """Close every connection; records stay."""
        ...


class SharedWindow(Protocol):
    """A rate-limit window that several processes spend together."""

    async def open(self, runtime: Runtime) -> None:
        """Get ready, in the running event loop; a second call does nothing."""
        ...

    async def close(self) -> None:
        """Close everything that was opened."""
        ...

    async def take(
        self, name: str, wanted: int, seen: Seen | None, *, first: bool = False
    ) -> Share:
        """Take some slots of the window, and report what a response said of it.

        ``name`` identifies an API key without revealing it; ``first``: the caller has
        taken none in this window yet. Raises `StoreUnavailableError` if the window
        cannot be reached.
        """
        ...


def is_store(value: object) -> TypeGuard[Store]:
    """Return whether an object has the operations of a store.

    An object that forwards them with ``__getattr__`` has them too; ``isinstance`` with
    a protocol does not see those since Python 3.12.
    """
    if isinstance(value, type):
        return False
    names = ("open", "read", "write", "keys", "aclose")
    return all(callable(getattr(value, name, None)) for name in names)
