"""The brake: while everything fails, a batch stands still and then tries again."""

from typing import Final

from persona_share.ports import Clock


_FIRST: Final = 1.0
_LONGEST: Final = 60.0
#: So many pauses in a row, about two minutes; then what fails, fails without a pause.
_MOST: Final = 7


class Brake:
    """Pauses that double as long as nothing works, bounded in number.

    Without it an outage of a minute would turn the rest of a batch into failures
    within seconds. Nothing is sent again because of it.
    """

    def __init__(self, clock: Clock, patience: int) -> None:
        self._clock = clock
        self._patience = patience
        self._failures = 0
        self._pauses = 0
        self._until = clock.now()

    @property
    def held(self) -> bool:
        """Whether there is a pause now."""
        return self._clock.now() < self._until

    def worked(self) -> None:
        """Take note that something worked."""
        self._failures = self._pauses = 0

    def failed(self) -> None:
        """Take note of a failure that time may heal; so many in a row make a pause."""
        if self.held:
            return  # it was on its way before
        self._failures += 1
        if self._failures >= self._patience:
            self.pause()

    def pause(self, at_least: float = 0.0) -> bool:
        """Begin a pause; False where there were too many in a row already."""
        if self._pauses >= _MOST:
            return False
        self._failures = 0
        seconds = min(max(_FIRST * 2**self._pauses, at_least), _LONGEST)
        self._pauses += 1
        self._until = max(self._until, self._clock.now() + seconds)
        return True

    async def over(self) -> None:
        """Return when no pause is left."""
        while (left := self._until - self._clock.now()) > 0:
            await self._clock.sleep(left)
