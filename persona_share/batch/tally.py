"""What a batch counts while it goes on, in a size that does not grow with it."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Final

from persona_share._protocol.http import Request, Response
from persona_share.errors import PersonaError
from persona_share.model.batch import Fetched, Outcome
from persona_share.ports import Sender


#: A call that was held back for less did not wait for anything but its turn.
_A_WAIT: Final = 1.0
# Seconds are counted in classes, each this much wider than the one before.
_STEP: Final = math.log(1.05)


class Tally:
    """Counts outcomes, retries and waits, and how long calls took."""

    def __init__(self) -> None:
        self.fetched: int = 0
        self.failed: int = 0
        self.skipped: int = 0
        self.retries: int = 0
        self.waits: int = 0
        self.waited: float = 0.0
        self._classes: Counter[int] = Counter()

    @property
    def done(self) -> int:
        """How many objects are dealt with."""
        return self.fetched + self.failed + self.skipped

    def count(self, outcome: Outcome) -> None:
        """Count an outcome that is handed out."""
        if isinstance(outcome, Fetched):
            self.fetched += 1
        else:
            self.failed += 1

    def sent(self, held_back: float, took: float) -> None:
        """Count a call that was answered: its wait before it was sent, and its time."""
        if held_back >= _A_WAIT:
            self.waits += 1
            self.waited += held_back
        self._classes[int(math.log(max(took, 1e-6)) / _STEP)] += 1

    def quantile(self, share: float) -> float | None:
        """Answer the seconds within which this share of the calls was answered."""
        wanted = share * self._classes.total()
        reached = 0
        for number in sorted(self._classes):
            reached += self._classes[number]
            if reached >= wanted:
                return math.exp((number + 0.5) * _STEP)
        return None


class Measured:
    """A Sender that counts what becomes of the calls of one batch."""

    def __init__(self, inner: Sender, tally: Tally, now: Callable[[], float]) -> None:
        self._inner = inner
        self._tally = tally
        self._now = now

    async def send(self, request: Request) -> Response:
        """Send and count."""
        began = self._now()
        try:
            response = await self._inner.send(request)
        except PersonaError as error:
            self._tally.retries += max(len(error.attempts) - 1, 0)
            raise
        if response.attempts:
            self._tally.retries += len(response.attempts) - 1
        sent = response.first_sent_at
        self._tally.sent(sent - began, self._now() - sent)
        return response
