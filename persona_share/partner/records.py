"""Shared records: one-time ids and request counts."""

import asyncio
import hashlib
from typing import Final, TypeVar

import orjson

from persona_share.errors import StoreCorruptError
from persona_share.ports import Runtime, Store, Versioned
from persona_share.stores.access import Change, change


T = TypeVar("T")

#: The period of `CodesPerMinute`, in seconds.
_MINUTE: Final = 60.0
#: Lost races in a row, after which a record counts as unavailable.
TRIES: Final = 64


def digest(*parts: str) -> str:
    """Return a short name for texts that must not stand in a key as they are."""
    encoded = [part.encode() for part in parts]
    joined = b"".join(len(each).to_bytes(4, "big") + each for each in encoded)
    return hashlib.sha256(joined).hexdigest()[:40]


async def is_first_use(
    store: Store, runtime: Runtime, issuer: str, token_id: str, ttl: float
) -> bool:
    """Remember the ``jti`` of an assertion; return False if it was used before.

    Raises:
        StoreError: the store failed, so it is not known.
    """

    def transition(found: Versioned) -> tuple[Change | None, bool]:
        used = found.value is not None
        return (None if used else Change(b"1", ttl)), not used

    key = f"partner-jti/{digest(issuer, token_id)}"
    return await change(store, runtime, key, transition, tries=TRIES)


class CodesPerMinute:
    """Counts the codes of each partner over the last minute, for all processes."""

    def __init__(self, store: Store, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime
        # Callers of one process queue here, so that only processes race.
        self._locks: dict[str, asyncio.Lock] = {}

    async def take(self, partner: str, most: int) -> float | None:
        """Count one code; return None, or in how many seconds the next is allowed.

        Raises:
            StoreError: the store failed, so nothing is known about the limit.
        """
        key = f"partner-codes/{digest(partner)}"
        async with self._locks.setdefault(partner, asyncio.Lock()):
            return await change(
                self._store,
                self._runtime,
                key,
                lambda found: _count(found, most),
                tries=TRIES,
            )


def _count(found: Versioned, most: int) -> tuple[Change | None, float | None]:
    """Count one code in the record of a minute, which holds the time of each."""
    times = decoded(found.value, list) or []
    begin = found.now - _MINUTE
    # A time in the future belongs to a clock that was set back: it counts as now.
    recent = sorted(min(float(each), found.now) for each in times if each > begin)
    if len(recent) >= most:
        return None, recent[-most] - begin
    value = orjson.dumps([*recent, round(found.now, 3)])
    return Change(value, _MINUTE + 1), None


def decoded(value: bytes | None, kind: type[T]) -> T | None:
    """Return the JSON of a record, or None if there is none.

    Raises:
        StoreCorruptError: it is something else.
    """
    if value is None:
        return None
    try:
        found = orjson.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        message = "a record of the partner service cannot be read"
        raise StoreCorruptError(message)
    return found
