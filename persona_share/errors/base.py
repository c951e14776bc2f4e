"""The root of all errors, and the facts that each of them has."""

import copyreg
import enum
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import attrs


class Phase(enum.Enum):
    """How far an attempt got; what may be repeated follows from it."""

    NOT_SENT = "not sent"
    AMBIGUOUS = "sent, no usable answer"
    ANSWERED = "answered"


@attrs.frozen
class Attempt:
    """One try of a call: how it ended, and the seconds waited after it."""

    phase: Phase
    reason: str
    status: int | None = None
    request_id: str | None = None
    delay: float = 0.0


class PersonaError(Exception):
    """The root of everything this library raises."""

    advice: str = ""
    retryable: bool = False
    _default_phase: ClassVar[Phase] = Phase.NOT_SENT

    def __init__(
        self,
        what: str,
        /,
        *,
        operation: str | None = None,
        phase: Phase | None = None,
        attempts: Sequence[Attempt] = (),
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.operation = operation
        self.phase: Phase = phase or self._default_phase
        self.attempts: tuple[Attempt, ...] = tuple(attempts)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        if advice is not None:
            self.advice = advice

    def __str__(self) -> str:
        """Say what happened, whether anything was sent, and what to do next."""
        where = f"{self.operation}: " if self.operation else ""
        facts = [self.phase.value]
        if len(self.attempts) > 1:
            facts.append(f"{len(self.attempts)} attempts")
        if self.request_id:
            facts.append(f"request {self.request_id}")
        if self.retry_after is not None:
            facts.append(f"try again in {self.retry_after:.0f} s")
        advice = f" {self.advice}" if self.advice else ""
        return f"{where}{self.what} [{', '.join(facts)}].{advice}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by facts, so that keyword-only constructors are no obstacle."""
        # The arguments again, as an OSError such as TimeoutError forgets them on the way.
        facts = {**self.__dict__, "args": self.args}
        return copyreg.__newobj__, (type(self), *self.args), facts  # type: ignore[attr-defined]

    def fresh(self) -> Self:
        """Answer an equal error of its own, so that no two callers share a traceback."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        twin.args = self.args
        return twin
