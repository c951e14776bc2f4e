"""SharedRateLimit: one rate-limit window for all processes that share a store."""

import asyncio
from typing import Final

from persona_share._policy import shared_limit
from persona_share._policy.shared_limit import Share
from persona_share._protocol.limits import LimitState
from persona_share._transport.runtime import default_runtime
from persona_share.ports import Runtime, Store, Versioned
from persona_share.stores.access import (
    Change,
    ContentionError,
    change,
    guarded,
    require_store,
)
from persona_share.stores.base import PerLoop


#: When a caller may come again after too many lost races, in seconds.
_COME_AGAIN: Final = 0.1


class SharedRateLimit:
    """Lets all processes of one environment spend one rate-limit window together.

    Pass it to every client as ``rate_limit=SharedRateLimit(store)``. The ``RateLimit-*``
    headers that any process receives count for all; the store holds counts and
    nothing secret. While the store is down each process limits itself, by what it sees.

    Raises:
        ConfigurationError: this is not a store.
    """

    def __init__(self, store: Store, *, runtime: Runtime | None = None) -> None:
        self._runtime = runtime or default_runtime()
        self._store = guarded(require_store(store, secrets=False), runtime)
        # One task of this process writes at a time: the tasks would outrun each other.
        self._locks = PerLoop[dict[str, asyncio.Lock]](dict)

    async def open(self, _runtime: Runtime | None = None) -> None:
        """Open the store; raises what `Store.open` raises."""
        await self._store.open()

    async def close(self) -> None:
        """Close the connections of the store; other users of it connect again."""
        await self._store.aclose()

    async def take(
        self, name: str, wanted: int, seen: LimitState | None, *, first: bool = False
    ) -> Share:
        """Take slots, and report what a response of the service said.

        ``name`` identifies an API key without revealing it; ``first``: the caller has
        taken none in this window yet.

        Raises:
            StoreUnavailableError: the store does not respond.
        """
        reservation = self._runtime.new_bytes(8).hex()

        def decide(found: Versioned) -> tuple[Change | None, Share]:
            limit = shared_limit.from_bytes(found.value)
            changed, share = shared_limit.take(
                limit,
                now=found.now,
                wanted=wanted,
                seen=seen,
                reservation=reservation,
                first=first,
                random=self._runtime.random(),
            )
            if changed == limit:
                return None, share
            ttl = shared_limit.ttl(changed, found.now)
            return Change(shared_limit.to_bytes(changed), ttl), share

        async with self._locks.get().setdefault(name, asyncio.Lock()):
            try:
                return await change(self._store, self._runtime, f"limit/{name}", decide)
            except ContentionError:
                return Share(0, _COME_AGAIN)

    def __repr__(self) -> str:
        return f"<SharedRateLimit on {self._store!r}>"
