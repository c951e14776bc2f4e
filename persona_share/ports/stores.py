"""The plugs of what several managers, or several processes, share."""

from typing import Protocol

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
