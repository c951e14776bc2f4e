"""When a store that failed is asked again (token-manager §7.5)."""

from typing import Final

import attrs


#: So many failures in a row, or one timeout, open the circuit.
_FAILURES: Final = 3
#: How long it stays open, in seconds: the first time, and at the most.
_SHORTEST: Final = 5.0
_LONGEST: Final = 30.0
#: While one goes ahead and tries, the others do not wait longer than this, in seconds.
_TRIAL: Final = 2.0


@attrs.define
class Circuit:
    """Counts failures and says whether it makes sense to ask.

    The first pause is the shortest; each later one is drawn from a range that doubles.
    """

    _failures: int = 0
    _openings: int = 0
    _until: float | None = None
    _trying: bool = False

    def closed_for(self, now: float) -> float:
        """Answer 0 for whoever may ask now, or the seconds until somebody may."""
        if self._until is None:
            return 0.0
        if now < self._until:
            return self._until - now
        self._trying = True
        self._until = now + _TRIAL
        return 0.0

    def succeeded(self) -> None:
        """Note an answer: all is well."""
        self._failures = self._openings = 0
        self._until, self._trying = None, False

    def failed(self, now: float, random: float, *, at_once: bool) -> None:
        """Note a failure; ``at_once``: one like this is enough."""
        self._failures += 1
        late = self._until is not None and not self._trying
        if late or not (self._trying or at_once or self._failures >= _FAILURES):
            return
        widest = min(_LONGEST, _SHORTEST * 2**self._openings)
        self._until = now + _SHORTEST + (widest - _SHORTEST) * random
        self._openings = min(self._openings + 1, 8)
        self._trying = False
