"""How stores are used: with a guard around another's, and by compare-and-swap."""

from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

import attrs

from persona_share.errors import (
    ConfigurationError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.ports import Runtime, Store, Versioned, is_store
from persona_share.stores.base import BaseStore


T = TypeVar("T")

#: The longest pause after the first lost race, in seconds; it doubles up to the other.
_FIRST_PAUSE: Final = 0.01
_MAX_PAUSE: Final = 0.16
#: A clock beyond this counts something shorter than seconds.
_MAX_NOW: Final = 1e11
_OPERATIONS: Final = ("open", "read", "write", "keys", "aclose")


class GuardedStore(BaseStore):
    """A store of an application, with the checks, time limit and errors of `BaseStore`."""

    #: Few, as the time limit includes what the store itself makes an operation wait.
    _concurrency = 8

    def __init__(self, store: Store, runtime: Runtime | None = None) -> None:
        super().__init__(runtime)
        self._store = store
        self.accepts_secrets: bool = getattr(store, "accepts_secrets", True)

    async def _open(self) -> None:
        await self._store.open()

    async def _read(self, key: str) -> Versioned:
        found: object = await self._store.read(key)
        match found:
            case Versioned(bytes() | None, str(), float() | int()) if abs(
                found.now
            ) < _MAX_NOW and (found.value is None) == (not found.etag):
                return found
        message = f"{self!r} returned something that is not a record"
        raise StoreUnavailableError(message)

    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        del etag  # the store makes its own
        written: object = await self._store.write(key, value, if_etag=if_etag, ttl=ttl)
        if isinstance(written, bool):
            return written
        message = f"{self!r} did not say whether a record was written"
        raise StoreUnavailableError(message)

    async def evicts(self) -> bool:
        """Return whether the store inside drops records when it is full."""
        evicts = getattr(self._store, "evicts", None)
        return evicts is not None and bool(await evicts())

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        keys: AsyncIterator[object] = self._store.keys(prefix)
        async for key in keys:
            if not (isinstance(key, str) and key.startswith(prefix)):
                message = f"{self!r} listed something that is not such a key"
                raise StoreUnavailableError(message)
            yield [key]

    async def _aclose(self) -> None:
        await self._store.aclose()

    def __repr__(self) -> str:
        return f"<{type(self._store).__name__}>"


def guarded(store: Store, runtime: Runtime | None = None) -> Store:
    """Return a store that raises store errors only and never hangs.

    A subclass that replaces an operation of the library is guarded like any other store.
    """
    checks_itself = isinstance(store, BaseStore) and not any(
        name in vars(store) or getattr(type(store), name) is not vars(BaseStore)[name]
        for name in _OPERATIONS
    )
    return store if checks_itself else GuardedStore(store, runtime)


def require_store(store: object, *, secrets: bool) -> Store:
    """Return the store if it is one, and may hold secrets if it will get some.

    Raises:
        ConfigurationError: this is not a store.
        StoreRefusedError: others could read what it holds.
    """
    if not is_store(store):
        message = f"a store is needed, not {type(store).__name__}"
        advice = "Pass an object such as SQLiteStore('tokens.db')."
        raise ConfigurationError(message, advice=advice)
    if secrets and not getattr(store, "accepts_secrets", True):
        message = f"{type(store).__name__} would get tokens in clear text"
        advice = "Wrap it in Encrypted(…), or create it with plaintext=True."
        raise StoreRefusedError(message, advice=advice)
    return store


@attrs.frozen
class Change:
    """A write: a value, or None to delete the record."""

    value: bytes | None
    ttl: float = 1.0


class ContentionError(StoreUnavailableError):
    """Every race for a record was lost; nothing was written."""


async def change(
    store: Store,
    runtime: Runtime,
    key: str,
    decide: Callable[[Versioned], tuple[Change | None, T]],
    *,
    tries: int = 8,
) -> T:
    """Change a record: read, decide, write if unchanged, else again.

    ``decide`` gets the record as it was read and returns the change, or None for no
    change, and a result, which is returned. It must be pure: after a lost race it is
    called again.

    Raises:
        ContentionError: every race was lost.
        StoreUnavailableError: the store does not respond; the record may be changed.
    """
    pause = _FIRST_PAUSE
    for _ in range(tries):
        found = await store.read(key)
        wanted, result = decide(found)
        if wanted is None or await store.write(
            key, wanted.value, if_etag=found.etag, ttl=wanted.ttl
        ):
            return result
        await runtime.clock.sleep(runtime.random() * pause)
        pause = min(pause * 2, _MAX_PAUSE)
    message = "a record is changed by too many processes at once"
    raise ContentionError(message)
