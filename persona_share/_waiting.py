"""Waiting for work with a limit, on a clock that tests can move."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from persona_share.ports import Clock


T = TypeVar("T")


class TimeIsUpError(Exception):
    """The work took longer than it was given."""


class CancelledItselfError(Exception):
    """The work was cancelled, and not by its caller."""


async def within(
    clock: Clock,
    seconds: float,
    work: Awaitable[T],
    late: Callable[[asyncio.Future[T]], object] | None = None,
) -> T:
    """Await for so many seconds of this clock, or raise `TimeIsUpError`.

    Work that is left behind is cancelled; ``late`` gets what becomes of it. Raises
    `CancelledItselfError` if it was cancelled from within.
    """
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        if is_late := not working.done():
            working.add_done_callback(late or retrieve)
            working.cancel()
        else:
            retrieve(working)  # its caller may be cancelled in this very moment
    if is_late:
        raise TimeIsUpError
    if working.cancelled():
        raise CancelledItselfError
    return working.result()


def retrieve(done: asyncio.Future[Any]) -> None:
    """Retrieve an error without a waiter, so that asyncio does not report it."""
    if not done.cancelled():
        done.exception()
