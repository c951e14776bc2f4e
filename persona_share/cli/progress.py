"""Progress: a bar on a terminal, and a line a minute everywhere else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import rich_click as click
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bar,
    TextColumn,
)

from persona_share.cli.console import Output
from persona_share.model.batch import Progress


_TICK: Final = 0.2  # s
_LINE: Final = 60.0  # s
_WAITING: Final = {
    "rate limit": "waiting for the rate limit",
    "partner": "waiting for the partner",
    "service": "the service is down: waiting",
}

ProgressOf = Callable[[], Progress]


@asynccontextmanager
async def progress_shown(
    progress_of: ProgressOf, *, quiet: bool
) -> AsyncIterator[None]:
    """Show the progress until the block is left."""
    console = Output(stderr=True)
    if quiet:
        yield
    elif console.is_terminal:
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        with Bar(*columns, console=console) as bar:
            task = bar.add_task("", total=progress_of().total, facts="")

            def update() -> None:
                """Show the progress as it is now."""
                progress = progress_of()
                bar.update(task, completed=progress.done, facts=facts_of(progress))

            async with _every(_TICK, update):
                yield
            update()
    else:

        def write() -> None:
            """Write one line."""
            click.echo(line_of(progress_of()), err=True)

        async with _every(_LINE, write, at_start=False):
            yield


@asynccontextmanager
async def _every(
    seconds: float, work: Callable[[], None], *, at_start: bool = True
) -> AsyncIterator[None]:
    ended = asyncio.Event()

    async def tick() -> None:
        if at_start:
            work()
        while not ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await ended.wait()
            if not ended.is_set():
                work()

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ended.set()
        await ticking


def line_of(progress: Progress) -> str:
    """Return the progress as one line of a log."""
    total = "" if progress.total is None else f" of {progress.total}"
    return f"{progress.done}{total} · {facts_of(progress)}"


def facts_of(progress: Progress) -> str:
    """Return rate, remaining time, rate limit and what the batch waits for."""
    words = [f"{progress.rate:.1f}/s"]
    if progress.left_for is not None:
        words.append(f"{_whole(progress.left_for)} left")
    if (window := progress.window) is not None:
        words.append(
            f"window {window.remaining}/{window.limit}, {window.resets_in:.0f} s"
        )
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if progress.waiting_for is not None:
        words.append(_WAITING[progress.waiting_for])
    return " · ".join(words)


def _whole(duration: timedelta) -> timedelta:
    return timedelta(seconds=round(duration.total_seconds()))
