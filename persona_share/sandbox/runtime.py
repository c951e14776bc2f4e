"""The clock, random streams and the schedule of a sandbox."""

import asyncio
import heapq
import math
import random
import secrets
import time
from collections.abc import Callable
from hashlib import blake2b
from itertools import count
from typing import Any, Final
from weakref import ref


_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789"


Random = random.Random


class Runtime:
    """The clock (UTC epoch seconds), seeded random numbers, and random secrets."""

    def __init__(self, seed: int, clock: Callable[[], float] | None = None) -> None:
        started, ticks = time.time(), time.monotonic()
        self._clock = clock or (lambda: started + time.monotonic() - ticks)
        self._offset = 0.0
        self._seed = seed
        self._streams: dict[str, Random] = {}
        self._digest_key = secrets.token_bytes(32)

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._clock() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock by this many seconds."""
        self._offset += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait this many real seconds."""
        await asyncio.sleep(seconds)

    def stream(self, name: str) -> Random:
        """Return the random generator of one purpose, independent of the others."""
        if name not in self._streams:
            self._streams[name] = Random(f"{self._seed}/{name}")
        return self._streams[name]

    def new_id(self, prefix: str) -> str:
        """Return a new id from the seed, such as ``inq_…``."""
        return f"{prefix}_{''.join(self.stream(prefix).choices(_LETTERS, k=24))}"

    def new_secret(self, prefix: str, length: int) -> str:
        """Return unpredictable text after a readable prefix."""
        return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))

    def digest(self, text: str) -> str:
        """Return a short keyed hash, which is stable only within one run."""
        return blake2b(text.encode(), digest_size=8, key=self._digest_key).hexdigest()


#: A callback; its arguments are the subject and the time at which it was due.
Callback = Callable[[Any, float], None]
#: Above this number, callbacks whose subject was dropped are removed.
_SWEEP_ABOVE: Final = 1000


class Scheduler:
    """Runs callbacks that are due whenever the clock is checked."""

    def __init__(self) -> None:
        self._callbacks: list[tuple[float, int, ref[Any], Callback]] = []
        self._count = count()
        self._sweep_above = _SWEEP_ABOVE

    def at(self, due: float, subject: Any, callback: Callback) -> None:
        """Schedule ``callback(subject, due)``, or nothing if ``due`` is infinity.

        The callback does not run if the subject was dropped from its table.
        """
        if due == math.inf:
            return
        heapq.heappush(
            self._callbacks, (due, next(self._count), ref(subject), callback)
        )
        if len(self._callbacks) > self._sweep_above:
            live = [each for each in self._callbacks if each[2]() is not None]
            heapq.heapify(live)
            self._callbacks = live
            self._sweep_above = max(_SWEEP_ABOVE, 2 * len(live))

    def clear(self) -> None:
        """Drop all callbacks."""
        self._callbacks.clear()

    def run(self, now: float) -> None:
        """Run what is due by now, in order."""
        while self._callbacks and self._callbacks[0][0] <= now:
            due, _, subject, callback = heapq.heappop(self._callbacks)
            if (live := subject()) is not None:
                callback(live, due)
