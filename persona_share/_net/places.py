"""Places: how many calls may travel at once; whoever finds none waits in a line."""

import asyncio
from collections import deque


class Places:
    """So many places, handed on in the order in which they were asked for.

    It is a semaphore that costs a comparison while there are free places.
    """

    __slots__ = ("_free", "_line")

    def __init__(self, size: int) -> None:
        self._free = size
        self._line: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a place if one is free."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self, seconds: float) -> None:
        """Take the next place; raises `TimeoutError` if there is none in time."""
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.give()  # it came too late
            raise

    def give(self) -> None:
        """Give a place back, to the next in line if there is one."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
