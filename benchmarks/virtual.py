"""An event loop whose time jumps to the next timer: a minute takes no time at all."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar


T = TypeVar("T")


class _Impatient(selectors.DefaultSelector):
    """A selector that does not wait, but notes how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Answer what is ready now, and let the time pass at once."""
        ready = super().select(0)
        if not ready and timeout:
            self.slept += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs as fast as it can; everything that sleeps takes its virtual time."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        """Answer the virtual time."""
        return self._impatient.slept


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
