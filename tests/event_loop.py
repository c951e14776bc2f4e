"""Run iterations of the event loop without waiting."""

import asyncio


async def run_iterations(number: int = 1) -> None:
    """Run this many iterations of the event loop."""
    for _ in range(number):
        await asyncio.sleep(0)  # noqa: TID251  # one iteration, no waiting
