"""The two secrets that travel: the authorization code and the access token."""

from datetime import datetime, timedelta
from typing import Protocol

from persona_share.model.scope import Scope
from persona_share.model.secret import MaskedText, Secret


class Clock(Protocol):
    """What a token asks for the time; a part of the house's clock."""

    def now(self) -> float:
        """Answer seconds that never step back and that count suspension."""
        ...

    def wall(self) -> datetime:
        """Answer the date and time in UTC."""
        ...


class AuthorizationCode(Secret):
    """A code from ``POST /oauth/authorize``, to be handed to the partner.

    It works once, for about ten minutes, and only for the organization that it was
    made for. ``scope`` is what was asked for and ``expires_at`` when it ends, where
    they are known; both are facts to hand over beside ``reveal()``. ``request_id`` is
    the service's id of the request that made it, for an audit log.
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
    """A scoped access token: what it opens, which generation it is, and for how long.

    What decides is a clock that counts suspension and does not follow the wall clock;
    ``expires_at`` is for display.
    """

    __slots__ = ("_clock", "ends", "generation", "lifetime", "scope")

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
        """Answer the token itself."""
        return str(self._value[len("Bearer ") :])

    @property
    def header(self) -> MaskedText:
        """The value of the Authorization header."""
        return self._value  # type: ignore[return-value]  # made in __init__

    @property
    def expires_in(self) -> timedelta:
        """The life it has left, never negative."""
        return timedelta(seconds=max(0.0, self.ends - self._clock.now()))

    @property
    def expires_at(self) -> datetime:
        """When it ends, by the wall clock as it stands now."""
        return self._clock.wall() + self.expires_in

    def __repr__(self) -> str:
        left = self.expires_in.total_seconds()
        return f"<AccessToken of {len(self.scope)} permissions, {left:.0f} s left>"
