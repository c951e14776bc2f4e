"""The values of a batch: outcomes, plan, progress and report."""

from datetime import timedelta
from typing import Generic, Literal, TypeVar

import attrs

from persona_share.errors import PersonaError
from persona_share.model.events import HookEvent
from persona_share.model.resource import Resource


R_co = TypeVar("R_co", bound=Resource, covariant=True)

#: What a batch waits for, if it waits: the rate limit, the partner's codes, or the
#: service, which is down.
WaitingFor = Literal["rate limit", "partner", "service"]


@attrs.frozen
class Fetched(Generic[R_co]):
    """An object that was retrieved."""

    id: str
    resource: R_co


@attrs.frozen
class Failed:
    """An object that was not retrieved, and why; the others are not affected."""

    id: str
    error: PersonaError


@attrs.frozen(kw_only=True)
class RateLimitStatus:
    """The service's rate limit as it is now: requests a window, and those left.

    ``resets_in`` is how many seconds the running window still has, ``waiting`` how many
    calls of this client wait for the next one.
    """

    limit: int
    remaining: int
    resets_in: float
    waiting: int = 0


@attrs.frozen(kw_only=True)
class Plan:
    """The least that a batch needs.

    ``objects`` is None if the number of ids is unknown. ``tokens`` counts one token
    per group, without renewals. ``shortest_for`` is the time that the rate limit
    imposes; it and ``limit`` are None until a response has shown the limit.
    """

    objects: int | None
    tokens: int | None
    limit: int | None
    shortest_for: timedelta | None


@attrs.frozen(kw_only=True)
class Progress(HookEvent):
    """The progress of a batch.

    ``rate`` is in objects per second since the start, ``left_for`` the estimated time
    that remains, ``window`` the rate limit as last seen. ``waiting_for`` is what the
    batch waits for at the moment, or None if it makes progress.
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
        """The number of objects that were fetched, failed, or skipped as fetched before."""
        return self.fetched + self.failed + self.skipped


@attrs.frozen(kw_only=True)
class Report:
    """What a batch has done so far.

    ``skipped`` objects were acknowledged in an earlier run. ``waits`` counts calls
    that were held back for a second or longer before they were sent, ``waited`` is
    the sum of those seconds. ``retries`` are repeated attempts, ``tokens`` the
    exchanges of the manager meanwhile. ``p50`` and ``p95`` are seconds from sending a
    call to its response, None before the first.
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
