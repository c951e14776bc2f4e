"""One change of one record: read, decide, write if unchanged, else again."""

from collections.abc import Callable
from typing import Final, TypeVar

import attrs

from persona_share.ports import Runtime, Store, Versioned


T = TypeVar("T")

#: How often a lost race is repeated.
_TRIES: Final = 8
#: The mean pause after a lost race, in seconds; it doubles up to 16 times that.
_PAUSE: Final = 0.005
_LONGEST_DOUBLING: Final = 16


@attrs.frozen
class Change:
    """What is to be written: a value, or None to delete the record."""

    value: bytes | None
    ttl: float = 1.0


class ContentionError(Exception):
    """Every race for a record was lost; nothing was written."""


async def change(
    store: Store,
    key: str,
    decide: Callable[[Versioned], tuple[Change | None, T]],
    runtime: Runtime,
) -> T:
    """Change a record and return what was decided.

    ``decide`` gets the record as it was read and returns the change, or None for no
    change, and an answer. It must be pure: after a lost race it is called again.

    Raises:
        ContentionError: every race was lost.
        StoreUnavailableError: the store does not answer.
    """
    for tries in range(_TRIES):
        found = await store.read(key)
        wanted, answer = decide(found)
        if wanted is None or await store.write(
            key, wanted.value, if_etag=found.etag, ttl=wanted.ttl
        ):
            return answer
        pause = _PAUSE * min(2**tries, _LONGEST_DOUBLING)
        await runtime.clock.sleep(pause * 2 * runtime.random())
    raise ContentionError
