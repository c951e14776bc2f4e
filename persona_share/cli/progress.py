"""The progress bar: how many, how fast, how long, and what the limit says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bar,
    TextColumn,
)

from persona_share.batch import Batch
from persona_share.model.batch import Progress


_TICK: Final = 0.2  # s


@asynccontextmanager
async def progress_bar(batch: Batch[Any], *, quiet: bool) -> AsyncIterator[None]:
    """Show a bar on a terminal, and nothing anywhere else."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=batch.progress().total, facts="")

        def update() -> None:
            """Show how far it is now."""
            progress = batch.progress()
            bar.update(task, completed=progress.done, facts=facts_of(progress))

        ended = asyncio.Event()
        ticking = asyncio.create_task(_ticked(update, ended))
        try:
            yield
        finally:
            ended.set()
            await ticking
            update()


async def _ticked(update: Callable[[], None], ended: asyncio.Event) -> None:
    """Update a few times a second: nothing arrives while a window is spent."""
    while not ended.is_set():
        update()
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK):
                await ended.wait()


def facts_of(progress: Progress) -> str:
    """Answer rate, remaining time and window in a few words."""
    words = [f"{progress.rate:.1f}/s"]
    if progress.left_for is not None:
        words.append(f"{_whole(progress.left_for)} left")
    if (window := progress.window) is not None:
        words.append(
            f"window {window.remaining}/{window.limit}, {window.resets_in:.0f} s"
        )
    if progress.failed:
        words.append(f"{progress.failed} failed")
    return " · ".join(words)


def _whole(duration: timedelta) -> timedelta:
    return timedelta(seconds=round(duration.total_seconds()))
