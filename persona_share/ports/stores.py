"""The plugs of what several managers, or several processes, share."""

from collections.abc import Sequence
from typing import Protocol

from persona_share._policy.election import Carried, Elected, Held, Look
from persona_share._policy.shared_limit import Share
from persona_share._protocol.limits import Seen
from persona_share.ports.calls import Runtime


class SharedWindow(Protocol):
    """A rate limit's window that several processes spend together."""

    async def open(self, runtime: Runtime) -> None:
        """Get ready, in the running event loop; a second time does nothing."""
        ...

    async def close(self) -> None:
        """Let go of everything that was opened."""
        ...

    async def take(self, name: str, wanted: int, seen: Seen | None) -> Share:
        """Take some of the window's calls, and tell what an answer said of it.

        ``name`` tells API keys apart without telling them. Raises
        `StoreUnavailableError` when it cannot be reached.
        """
        ...


class TokenStore(Protocol):
    """Keeps tokens and codes for several managers, and says who exchanges.

    Each operation is atomic. ``key`` names a scope, or a code, without showing it;
    ``owner`` is a random name of one manager; times are relative, in seconds, and
    counted by the store's own clock. See `persona_share._policy.election` for what each
    operation means. Every one raises `StoreUnavailableError` when it cannot be done.
    """

    async def open(self, runtime: Runtime) -> None:
        """Get ready, in the running event loop; a second time does nothing."""
        ...

    async def close(self) -> None:
        """Let go of everything that was opened."""
        ...

    async def elect(
        self, key: str, owner: str, *, newer_than: int, at_least: float
    ) -> Elected:
        """Answer a usable token, or who brings one."""
        ...

    async def attach(
        self, key: str, owner: str, fence: int, ticket: Carried
    ) -> Carried | None:
        """Put a code under the leader's flight; answer the one that is to be used."""
        ...

    async def mark_sent(
        self, key: str, owner: str, fence: int, epoch: int
    ) -> float | None:
        """Note the first send under this epoch; answer how long ago that was."""
        ...

    async def publish(
        self, key: str, owner: str, fence: int, *, remaining: float, blob: bytes
    ) -> Held | None:
        """Take a new token in, or answer the newer one that is there."""
        ...

    async def adopt(self, key: str, *, remaining: float, blob: bytes) -> int:
        """Take in a token that no election brought; answer its generation or 0."""
        ...

    async def fail(
        self,
        key: str,
        owner: str,
        fence: int,
        *,
        reason: str,
        pause: float,
        keep_ticket: bool,
    ) -> None:
        """Give the lead back after a failure that all respect for a while."""
        ...

    async def invalidate(self, key: str, generation: int) -> None:
        """Never answer this generation again."""
        ...

    async def renew(self, key: str, owner: str, fence: int) -> bool:
        """Keep the lead a while longer; False when it is lost."""
        ...

    async def offer(self, key: str, ticket: Carried) -> bool:
        """Queue a pushed code; False when it is known, over, or too many wait."""
        ...

    async def take(self, key: str) -> Carried | None:
        """Take the waiting code that ends first."""
        ...

    async def forget(self, key: str) -> None:
        """Drop everything of this key but its fence."""
        ...

    async def news(self, key: str, seconds: float) -> None:
        """Return when something happened to this key, or after so many seconds.

        What happened after this store last said to wait (`Follow`) counts, too. It may
        return early: whoever waits elects again.
        """
        ...


class BrowsableStore(Protocol):
    """A store that can be looked after: `persona_share.stores.browse` does that.

    Its names are those that it keeps things under, which may differ from the keys that
    a manager uses.
    """

    async def open(self, runtime: Runtime) -> None:
        """Get ready, in the running event loop; a second time does nothing."""
        ...

    async def close(self) -> None:
        """Let go of everything that was opened."""
        ...

    async def names(self) -> Sequence[str]:
        """Answer every name."""
        ...

    async def look(self, name: str) -> Look:
        """Answer how a name stands, without changing anything."""
        ...

    async def drop(self, name: str) -> None:
        """Drop everything of a name but its fence."""
        ...
