"""The share of the request limit that exchanges may use: one bucket for an API key.

The service's limit is for everything that an environment sends. Exchanges take a fifth
of it; renewals in the background leave a part of that to callers who wait.
"""

from collections.abc import Callable
from typing import Final

from persona_share._protocol.http import Response
from persona_share.model.policy import RenewalPolicy
from persona_share.ports import Clock


_WINDOW: Final = 60.0
#: Who waits looks at least this often whether it has become urgent.
_LOOK: Final = 1.0


class ExchangePacing:
    """Lets exchanges go as fast as their share allows; without a limit until one is seen."""

    def __init__(self, clock: Clock, policy: RenewalPolicy) -> None:
        self._clock = clock
        self._policy = policy
        self._capacity: float | None = None
        self._level = 0.0
        self._filled_at = clock.now()
        self._closed_until = 0.0

    @property
    def pressed(self) -> bool:
        """Whether so little is left that renewals should spread further."""
        return self._capacity is not None and self._filled() < self._reserve

    @property
    def level(self) -> float | None:
        """How many exchanges may go now, or None while no limit is known."""
        return None if self._capacity is None else self._filled()

    async def turn(self, hurried: Callable[[], bool], until: float) -> bool:
        """Wait for a turn and take it; False when it would come too late.

        An exchange that is ``hurried``, from the first or from some moment on, may use
        the whole share.
        """
        while (wait := self._wait(background=not hurried())) > 0:
            if self._clock.now() + wait >= until:
                return False
            await self._clock.sleep(wait if hurried() else min(wait, _LOOK))
        if self._capacity is not None:
            self._level = self._filled() - 1.0
        return True

    def learn(self, response: Response) -> None:
        """Take the limit from an answer; it may change from one to the next."""
        text = response.headers.get("ratelimit-limit", "")
        if not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004
            return
        capacity = max(1.0, int(text) * self._policy.pacing_share)
        # What was gained so far was gained at the old rate.
        self._level = capacity - 1.0 if self._capacity is None else self._filled()
        self._filled_at = self._clock.now()
        self._capacity = capacity

    def close(self, seconds: float) -> None:
        """Let nothing go for so long: the service said when it opens again."""
        self._closed_until = max(self._closed_until, self._clock.now() + seconds)

    @property
    def _reserve(self) -> float:
        return (self._capacity or 0.0) * self._policy.pacing_reserve

    def _filled(self) -> float:
        now = self._clock.now()
        capacity = self._capacity or 0.0
        gained = (now - self._filled_at) * capacity / _WINDOW
        self._level = min(capacity, self._level + gained)
        self._filled_at = now
        return self._level

    def _wait(self, *, background: bool) -> float:
        closed = self._closed_until - self._clock.now()
        if closed > 0 or self._capacity is None:
            return closed
        needed = 1.0 + (self._reserve if background else 0.0)
        needed = min(needed, self._capacity)
        # A hair more than computed, or rounding asks for the same instant again.
        lacking = needed - self._filled()
        return lacking * _WINDOW / self._capacity + 1e-6 if lacking > 0 else 0.0
