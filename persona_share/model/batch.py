"""Values of a batch: results, plan, progress and report."""

from datetime import timedelta
from typing import Generic, Literal, TypeVar

import attrs

from persona_share.errors import PersonaError
from persona_share.model.events import HookEvent
from persona_share.model.resource import Resource


R_co = TypeVar("R_co", bound=Resource, covariant=True)

#: The reason why a batch waits: the rate limit, the partner's codes, or an outage of the
#: service.
WaitingFor = Literal["rate limit", "partner", "service"]


@attrs.frozen
class Fetched(Generic[R_co]):
    """An object that was retrieved."""

    id: str
    resource: R_co


@attrs.frozen
class Failed:
    """An object that was not retrieved, and the error; other objects are not affected."""

    id: str
    error: PersonaError


@attrs.frozen(kw_only=True)
class RateLimitStatus:
    """The current rate limit: requests per window, and remaining requests.

    ``resets_in`` is the time to the end of the window in seconds, ``waiting`` the number
    of calls of this client that wait for the next window.
    """

    limit: int
    remaining: int
    resets_in: float
    waiting: int = 0


@attrs.frozen(kw_only=True)
class Plan:
    """The minimum that a batch needs.

    ``objects`` is None if the number of ids is unknown. ``tokens`` counts one token
    per group, without renewals. ``shortest_for`` is the minimum duration under the rate
    limit; it and ``limit`` are None until a response has reported the limit.
    """

    objects: int | None
    tokens: int | None
    limit: int | None
    shortest_for: timedelta | None


@attrs.frozen(kw_only=True)
class Progress(HookEvent):
    """The progress of a batch.

    ``rate`` is in objects per second since the start, ``left_for`` is the estimated
    remaining time, and ``window`` the last known rate limit. ``waiting_for`` is None
    while the batch makes progress.
    """

    total: int | None
    fetched: int
    failed: int
    skipped: int
    rate: float
    left_for: timedelta | None
    window: RateLimitStatus | None
    waiting_for: WaitingFor | None = None

    @property
    def done(self) -> int:
        """The number of objects that were fetched, failed or skipped."""
        return self.fetched + self.failed + self.skipped


@attrs.frozen(kw_only=True)
class Report:
    """The results of a batch so far.

    ``skipped`` objects were acknowledged in an earlier run. ``waits`` counts calls
    that were delayed by a second or longer before they were sent, ``waited`` is the sum
    of these delays in seconds. ``retries`` are repeated attempts, ``tokens`` the
    exchanges of the manager during the batch. ``p50`` and ``p95`` are latencies in
    seconds, or None before the first response.
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
