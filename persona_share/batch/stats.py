"""Statistics of a batch; their size does not grow with the number of objects."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from persona_share._protocol.http import Request, Response
from persona_share.errors import PersonaError
from persona_share.model.batch import Failed, Fetched
from persona_share.ports import Sender


#: A call that was held back for less did not wait for the rate limit.
_MIN_WAIT: Final = 1.0
#: Durations are counted in buckets, each 5 % wider than the one before.
_BUCKET: Final = math.log(1.05)


class BatchStats:
    """Counts outcomes, retries and waits, and the durations of calls."""

    def __init__(self) -> None:
        self.fetched: int = 0
        self.failed: int = 0
        self.skipped: int = 0
        self.retries: int = 0
        self.waits: int = 0
        self.waited: float = 0.0
        self._buckets: Counter[int] = Counter()

    @property
    def done(self) -> int:
        """The number of objects that need nothing more."""
        return self.fetched + self.failed + self.skipped

    def count(self, outcome: Fetched[Any] | Failed) -> None:
        """Count an outcome that is handed to the caller."""
        if isinstance(outcome, Failed):
            self.failed += 1
        else:
            self.fetched += 1

    def sent(self, held_back: float, took: float) -> None:
        """Count a call that was answered: its wait before sending, and its duration."""
        if held_back >= _MIN_WAIT:
            self.waits += 1
            self.waited += held_back
        self._buckets[int(math.log(max(took, 1e-6)) / _BUCKET)] += 1

    def quantile(self, share: float) -> float | None:
        """Return the seconds within which this share of the calls was answered."""
        wanted = share * self._buckets.total()
        reached = 0
        for number in sorted(self._buckets):
            reached += self._buckets[number]
            if reached >= wanted:
                return math.exp((number + 0.5) * _BUCKET)
        return None


class Measured:
    """A Sender that counts the calls of one batch."""

    def __init__(
        self, inner: Sender, stats: BatchStats, now: Callable[[], float]
    ) -> None:
        self._inner = inner
        self._stats = stats
        self._now = now

    async def send(self, request: Request) -> Response:
        """Send and count."""
        started = self._now()
        try:
            response = await self._inner.send(request)
        except PersonaError as error:
            self._stats.retries += max(len(error.attempts) - 1, 0)
            raise
        if response.attempts:
            self._stats.retries += len(response.attempts) - 1
        sent = response.first_sent_at
        self._stats.sent(sent - started, self._now() - sent)
        return response
