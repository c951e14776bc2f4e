"""Errors that stop a batch; the next run continues where it stopped."""

from typing import Any

from persona_share.errors.base import PersonaError
from persona_share.errors.stores import StoreRefusedError, StoreUnavailableError


class OutageError(PersonaError):
    """A batch stopped because nothing worked for longer than ``max_outage``.

    ``waiting_for`` is "service" or "partner"; ``seconds`` is how long it was down.
    """

    advice = "Run it again when the outage is over; with a checkpoint it continues."
    retryable = True

    def __init__(
        self, what: str, /, *, waiting_for: str, seconds: float, **facts: Any
    ) -> None:
        super().__init__(what, **facts)
        self.waiting_for = waiting_for
        self.seconds = seconds


class CheckpointInUseError(StoreUnavailableError):
    """Another fetch or copy uses the checkpoint; ``pid`` is its process, if known."""

    advice = "Wait until it ends, or use another checkpoint. Nothing was changed."

    def __init__(self, what: str, /, *, pid: int | None = None, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.pid = pid


class CheckpointMismatchError(StoreRefusedError):
    """The output is not the file that the checkpoint describes."""

    advice = (
        "Restore the output, or remove both the output and the checkpoint to begin "
        "anew. Nothing was changed."
    )
