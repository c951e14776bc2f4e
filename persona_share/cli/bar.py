"""The progress bar: how many, how fast, how long, and what the limit says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bar,
    TextColumn,
)

from persona_share.batch import Batch
from persona_share.model.batch import Progress


@contextmanager
def bar_of(batch: Batch, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, and nothing anywhere else."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=batch.progress().total, facts="")

        def update() -> None:
            progress = batch.progress()
            bar.update(task, completed=progress.done, facts=facts_of(progress))

        update()
        yield update
        update()


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
