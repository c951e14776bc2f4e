"""The sandbox's own clock, dice and keys: the only file here that asks for them.

Ids and people come from the seed, so that two runs look alike. Keys, codes and tokens
never do: whoever knows the seed still cannot guess them.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final


_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789"


Dice = random.Random


def dice(seed: int | str) -> Dice:
    """Answer dice that fall the same way for the same seed."""
    return Dice(seed)


class World:
    """Clock (UTC epoch seconds), seeded dice, and secrets that no seed reveals."""

    def __init__(self, seed: int, clock: Callable[[], float] | None = None) -> None:
        started, ticks = time.time(), time.monotonic()
        self._clock = clock or (lambda: started + time.monotonic() - ticks)
        self._offset = 0.0
        self._seed = seed
        self._streams: dict[str, Dice] = {}
        self._digest_key = secrets.token_bytes(32)

    def now(self) -> float:
        """Answer the time in seconds since the epoch."""
        return self._clock() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock by this many seconds; nothing waits for it."""
        self._offset += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait this many real seconds."""
        await asyncio.sleep(seconds)

    def stream(self, name: str) -> Dice:
        """Answer the dice of one purpose; what one draws does not move another."""
        if name not in self._streams:
            self._streams[name] = dice(f"{self._seed}/{name}")
        return self._streams[name]

    def new_id(self, prefix: str) -> str:
        """Answer a new id from the seed, such as ``inq_…``."""
        return f"{prefix}_{''.join(self.stream(prefix).choices(_LETTERS, k=24))}"

    def new_secret(self, prefix: str, length: int) -> str:
        """Answer text that nobody can guess, after a readable prefix."""
        return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))

    def digest(self, text: str) -> str:
        """Answer a short keyed hash: equal text, equal hash, within one run only."""
        return blake2b(text.encode(), digest_size=8, key=self._digest_key).hexdigest()
