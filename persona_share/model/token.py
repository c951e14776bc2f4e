"""Authorization codes and access tokens."""

from datetime import datetime, timedelta
from typing import Protocol

from persona_share.model.scope import Scope
from persona_share.model.secret import MaskedText, Secret


class Clock(Protocol):
    """The part of a clock that a token needs."""

    def now(self) -> float:
        """Return the time of a monotonic clock in seconds; it includes suspension."""
        ...

    def wall(self) -> datetime:
        """Return the date and time in UTC."""
        ...


class AuthorizationCode(Secret):
    """A code from ``POST /oauth/authorize``, to be sent to the partner.

    It works once, for about ten minutes, and only for the organization that it was
    issued to. ``scope`` is the requested scope and ``expires_at`` the expiry, if they
    are known; send both with ``reveal()``. ``request_id`` is the service's id of the
    request that created the code, for an audit log.
    """

    __slots__ = ("expires_at", "request_id", "scope")

    def __init__(
        self,
        value: str,
        *,
        scope: Scope | None = None,
        expires_at: datetime | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(value)
        self.scope: Scope | None = scope
        self.expires_at: datetime | None = expires_at
        self.request_id: str | None = request_id


class AccessToken(Secret):
    """A scoped access token, with its scope, generation and expiry.

    Expiry is decided by a clock that counts suspension and does not follow the wall
    clock. ``expires_at`` is for display.
    """

    __slots__ = ("_clock", "ends", "generation", "header", "lifetime", "scope")

    #: The value of the Authorization header, as a secret; created on first use.
    header: Secret

    def __init__(
        self,
        value: str,
        *,
        scope: Scope,
        generation: int,
        ends: float,
        lifetime: float,
        clock: Clock,
    ) -> None:
        super().__init__(MaskedText(f"Bearer {value}"))
        self.scope: Scope = scope
        self.generation: int = generation
        self.ends: float = ends
        self.lifetime: float = lifetime
        self._clock = clock

    def reveal(self) -> str:
        """Return the token."""
        return str(self._value[len("Bearer ") :])

    def __getattr__(self, name: str) -> Secret:
        # Reached only while the slot is empty: each request reads it, so a property
        # would cost more than the rest of using a cached token.
        if name != "header":
            raise AttributeError(name)
        self.header = header = Secret(self._value)
        return header

    @property
    def expires_in(self) -> timedelta:
        """The remaining lifetime, never negative."""
        return timedelta(seconds=max(0.0, self.ends - self._clock.now()))

    @property
    def expires_at(self) -> datetime:
        """The expiry by the current wall clock."""
        return self._clock.wall() + self.expires_in

    def __repr__(self) -> str:
        left = self.expires_in.total_seconds()
        return f"<AccessToken of {len(self.scope)} permissions, {left:.0f} s left>"
