"""What a batch yields and tells: outcomes, its plan, its progress and its report."""

from datetime import timedelta

import attrs

from persona_share.errors import PersonaError
from persona_share.model.events import Event
from persona_share.model.resource import Resource


@attrs.frozen
class Fetched:
    """An object that came."""

    id: str
    resource: Resource


@attrs.frozen
class Failed:
    """An object that did not come, and why; the others are not concerned."""

    id: str
    error: PersonaError


Outcome = Fetched | Failed


@attrs.frozen(kw_only=True)
class RateLimitStatus:
    """The service's rate limit as it stands: requests a minute, and those left.

    ``resets_in`` is how many seconds the running window still has.
    """

    limit: int
    remaining: int
    resets_in: float


@attrs.frozen(kw_only=True)
class Plan:
    """What a batch will take at least.

    ``objects`` is None where nobody can know how many ids will come. ``tokens`` counts
    one for each scope, without renewals. ``shortest_for`` is the time that the limit
    leaves no way around; it and ``limit`` are None until an answer has told the limit.
    """

    objects: int | None
    tokens: int | None
    limit: int | None
    shortest_for: timedelta | None


@attrs.frozen(kw_only=True)
class Progress(Event):
    """How far a batch is.

    ``rate`` is in objects a second since the beginning, ``left_for`` the time that is
    still needed as far as can be told, ``window`` the rate limit as last seen.
    """

    total: int | None
    fetched: int
    failed: int
    skipped: int
    rate: float
    left_for: timedelta | None
    window: RateLimitStatus | None

    @property
    def done(self) -> int:
        """How many are dealt with: fetched, failed, or skipped as fetched before."""
        return self.fetched + self.failed + self.skipped


@attrs.frozen(kw_only=True)
class Report:
    """What a batch has done so far.

    ``skipped`` were acknowledged in an earlier run. ``waits`` counts calls that were
    held back a second or longer before they were sent, ``waited`` is their seconds
    together. ``retries`` are repeated attempts, ``tokens`` the exchanges of its manager
    meanwhile. ``p50`` and ``p95`` are seconds from sending a call to its answer, None
    before the first.
    """

    fetched: int
    failed: int
    skipped: int
    seconds: float
    waits: int
    waited: float
    retries: int
    tokens: int
    p50: float | None
    p95: float | None
