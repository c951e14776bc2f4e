"""The console of commands that print with rich."""

from rich.console import Console


class Output(Console):
    """A console whose closed pipe ends the command like any other closed output."""

    def on_broken_pipe(self) -> None:
        """Raise the error again; rich would end the command with exit code 1."""
        raise  # noqa: PLE0704  # rich calls it where it handles the error
