"""The base class of all errors, and the facts that each error has."""

import copyreg
import enum
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import attrs


class Phase(enum.Enum):
    """How far an attempt got, which decides whether it may be repeated."""

    NOT_SENT = "not sent"
    AMBIGUOUS = "sent, no usable response"
    ANSWERED = "answered"


_SENT: Final = {
    Phase.NOT_SENT: "Nothing was sent.",
    Phase.AMBIGUOUS: "The request was sent, but no usable response arrived.",
    Phase.ANSWERED: "",  # the text names the response
}


@attrs.frozen
class Attempt:
    """One attempt of a call: how it ended, and the delay after it in seconds."""

    phase: Phase
    reason: str
    status: int | None = None
    request_id: str | None = None
    delay: float = 0.0


class PersonaError(Exception):
    """The base class of everything that this library raises.

    ``what`` is what happened, ``phase`` says whether anything was sent, ``advice`` what
    to do next, and ``retryable`` whether the same call may succeed later.
    """

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
        facts = []
        if len(self.attempts) > 1:
            facts.append(f"{len(self.attempts)} attempts")
        if self.request_id:
            facts.append(f"request {self.request_id}")
        if self.retry_after is not None:
            facts.append(f"retry in {self.retry_after:.0f} s")
        more = f" ({', '.join(facts)})" if facts else ""
        what = self.what.rstrip(".")
        sentences = [f"{where}{what}{more}.", self._sent(), self.advice]
        return " ".join(filter(None, sentences))

    def _sent(self) -> str:
        """Return a sentence that says whether anything was sent."""
        return _SENT[self.phase]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the facts, as constructors have keyword-only arguments."""
        # The arguments are listed again: an OSError, such as TimeoutError, drops them.
        facts = {**self.__dict__, "args": self.args}
        return copyreg.__newobj__, (type(self), *self.args), facts  # type: ignore[attr-defined]

    def fresh(self) -> Self:
        """Return an equal error, so that two callers do not share a traceback."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        twin.args = self.args
        twin.__cause__ = self.__cause__
        return twin
