"""Running a sandbox until somebody ends it."""

import asyncio
from collections.abc import Callable
from typing import Any

from persona_share.sandbox.box import Sandbox


async def serve(
    ready: Callable[[Sandbox], None], *, inquiries: int = 10, **options: Any
) -> None:
    """Run a populated sandbox until cancelled; ``ready`` is called once it listens.

    Raises:
        ConfigurationError: for options that cannot be used.
    """
    async with Sandbox(**options) as box:
        box.populate(inquiries)
        ready(box)
        await asyncio.Event().wait()
