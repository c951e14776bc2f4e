"""Turns of the event loop, without time passing."""

import asyncio


async def turns(number: int = 1) -> None:
    """Let the event loop go round this many times."""
    for _ in range(number):
        await asyncio.sleep(0)  # noqa: TID251  # a turn, not a time
