"""The real runtime: the only module that reads clocks and generates random numbers."""

import asyncio
import os
import random
import secrets
import sys
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Final

from persona_share.ports import Clock, Runtime


class Progress:
    """Seconds on a machine whose monotonic clock may stop while it sleeps.

    Each reading advances by whichever of the two clocks advanced more, because a
    suspension shows on the wall clock alone. So a token may expire early after the wall
    clock was set forward, but never late.
    """

    def __init__(
        self, monotonic: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._last = monotonic(), wall()
        self._total = 0.0

    def __call__(self) -> float:
        """Return the seconds since this was created; they never step back."""
        last, self._last = self._last, (self._monotonic(), self._wall())
        steps = (new - old for new, old in zip(self._last, last, strict=True))
        self._total += max(0.0, *steps)
        return self._total


def boot_time() -> Callable[[], float]:
    """Return the best clock of this system that never steps and counts suspension."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # time.monotonic() stops in sleep there, this does not
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    if sys.platform == "win32":  # its performance counter includes standby
        return time.monotonic
    return Progress(time.monotonic, time.time)


@cache
def boot_id() -> str:
    """Return an identifier of this boot of the machine, or an empty text."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class SystemClock:
    """The clock of this machine; ``now`` counts suspension where the system can."""

    def __init__(self) -> None:
        # Bound once: a method around it would double the cost of a reading.
        self.now: Callable[[], float] = boot_time()

    def wall(self) -> datetime:
        """Return the date and time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed."""
        await asyncio.sleep(seconds)


def seeded_random(seed: int) -> Callable[[], float]:
    """Return a function that returns the same random numbers for the same seed."""
    return random.Random(seed).random


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    """Return a function that returns the same random bytes for the same seed."""
    return random.Random(seed).randbytes


#: Called in a forked child; an entry disappears with its object.
_LISTENERS: Final[set[weakref.WeakMethod[Callable[[], None]]]] = set()


def _call_in_child() -> None:
    for reference in tuple(_LISTENERS):
        if (call := reference()) is not None:
            call()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_call_in_child)


def after_fork(call: Callable[[], None]) -> None:
    """Call a bound method in every forked child, for as long as its object lives."""
    _LISTENERS.add(weakref.WeakMethod(call, _LISTENERS.discard))


#: Replaces the real runtime while a test controls time; only `testing` adds to it.
_OVERRIDES: Final[list[Runtime]] = []


@contextmanager
def override_runtime(runtime: Runtime) -> Iterator[None]:
    """Use this runtime for every client, manager and verifier created in the block."""
    _OVERRIDES.append(runtime)
    try:
        yield
    finally:
        _OVERRIDES.remove(runtime)


def default_runtime() -> Runtime:
    """Return the runtime to use by default: the real one."""
    return _OVERRIDES[-1] if _OVERRIDES else system_runtime()


def default_clock() -> Clock:
    """Return the clock to use by default: this machine's."""
    return _OVERRIDES[-1].clock if _OVERRIDES else SystemClock()


def system_runtime() -> Runtime:
    """Return the real runtime; its random numbers come from the operating system.

    A forked child never generates the same numbers as its parent.
    """
    return Runtime(
        clock=SystemClock(),
        random=random.SystemRandom().random,
        new_key=lambda: str(uuid.uuid4()),
        new_bytes=secrets.token_bytes,
        after_fork=after_fork,
        boot_id=boot_id(),
    )
