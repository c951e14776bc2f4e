"""Cancels a piece of work at its n-th suspension, in each of the ways there are."""

import asyncio
import types

import anyio


class Sweep:
    """Drives a coroutine by hand; in its n-th suspension it is stopped."""

    def __init__(self, at, stop):
        self.at = at
        self.stop = stop
        self.suspensions = 0

    @types.coroutine
    def drive(self, work):
        """Pass every suspension on to the loop, and count it."""
        step, value = work.send, None
        while True:
            try:
                awaited = step(value)
            except StopIteration as ended:
                return ended.value
            self.suspensions += 1
            if self.suspensions == self.at:
                self.stop()
            try:
                step, value = work.send, (yield awaited)
            except BaseException as error:  # noqa: BLE001  # a cancellation, passed on
                step, value = work.throw, error


async def by_task(at, work):
    """Cancel the task (`Task.cancel`)."""
    sweep = Sweep(at, asyncio.current_task().cancel)
    try:
        await sweep.drive(work)
    except asyncio.CancelledError:
        asyncio.current_task().uncancel()
    return sweep


async def by_scope(at, work):
    """Cancel the scope around it, which goes on cancelling until it is left (F74)."""
    with anyio.CancelScope() as scope:
        sweep = Sweep(at, scope.cancel)
        await sweep.drive(work)
    return sweep


async def by_timeout(at, work):
    """Let its time run out (`asyncio.timeout`)."""
    loop = asyncio.get_running_loop()
    sweep = None
    try:
        async with asyncio.timeout(None) as limit:
            sweep = Sweep(at, lambda: limit.reschedule(loop.time()))
            await sweep.drive(work)
    except TimeoutError:
        pass
    return sweep


WAYS = {"task": by_task, "scope": by_scope, "timeout": by_timeout}
