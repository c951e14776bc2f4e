"""Records that processes share: used assertion ids, and counts of codes."""

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
#: A record is unavailable after this many consecutive lost races.
TRIES: Final = 64


def digest(*parts: str) -> str:
    """Return a short hash, for texts that must not be part of a key in plain form."""
    encoded = [part.encode() for part in parts]
    joined = b"".join(len(each).to_bytes(4, "big") + each for each in encoded)
    return hashlib.sha256(joined).hexdigest()[:40]


async def is_first_use(
    store: Store, runtime: Runtime, issuer: str, token_id: str, ttl: float
) -> bool:
    """Record the ``jti`` of an assertion; return False if it was used before.

    Raises:
        StoreError: the store failed, so it is unknown whether it was used.
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
        # Callers in one process take turns, so only different processes race.
        self._locks: dict[str, asyncio.Lock] = {}

    async def take(self, partner: str, maximum: int) -> float | None:
        """Count one code and return None, or return the seconds until one is allowed.

        Raises:
            StoreError: the store failed, so the count is unknown.
        """
        key = f"partner-codes/{digest(partner)}"
        async with self._locks.setdefault(partner, asyncio.Lock()):
            return await change(
                self._store,
                self._runtime,
                key,
                lambda found: _count(found, maximum),
                tries=TRIES,
            )


def _count(found: Versioned, maximum: int) -> tuple[Change | None, float | None]:
    """Add a code to the record of the last minute, which lists the time of each code."""
    times = decoded(found.value, list) or []
    begin = found.now - _MINUTE
    # A time in the future means that the clock was set back; it counts as now.
    recent = sorted(min(float(each), found.now) for each in times if each > begin)
    if len(recent) >= maximum:
        return None, recent[-maximum] - begin
    value = orjson.dumps([*recent, round(found.now, 3)])
    return Change(value, _MINUTE + 1), None


def decoded(value: bytes | None, kind: type[T]) -> T | None:
    """Return the JSON of a record, or None if there is none.

    Raises:
        StoreCorruptError: it is not JSON of this type.
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
