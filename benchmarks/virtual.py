"""An event loop whose time jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar


T = TypeVar("T")


class _VirtualSelector(selectors.DefaultSelector):
    """A selector that does not wait, but adds up the time it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return the ready events and advance the virtual time."""
        ready = super().select(0)
        if not ready and timeout:
            self.slept += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which never waits."""

    def __init__(self) -> None:
        self._virtual_selector = _VirtualSelector()
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        """Return the virtual time."""
        return self._virtual_selector.slept


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
