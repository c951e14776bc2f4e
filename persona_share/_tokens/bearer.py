"""Supplies a session's requests with its token, and hears of every 401."""

from typing import Final

from persona_share._policy.lifetime import shortened
from persona_share._tokens.broker import Broker
from persona_share._tokens.entries import Entry
from persona_share.model.scope import Scope
from persona_share.model.token import AccessToken
from persona_share.ports import Authorization, Runtime


_REPLAYS: Final = 2


class TokenBearer:
    """The bearer source of one scope."""

    __slots__ = ("_broker", "_clock", "_entry", "_now", "_random", "_scope")

    def __init__(self, scope: Scope, broker: Broker, runtime: Runtime) -> None:
        self._scope = scope
        self._broker = broker
        self._clock = runtime.clock
        self._now = runtime.clock.now
        self._random = runtime.random
        self._entry: Entry | None = None

    def cached(self) -> AccessToken | None:
        """Answer the token if it is fresh: a comparison, and nothing is awaited."""
        entry = self._entry
        if entry is not None:
            now = self._now()
            if now < entry.refresh_at:
                entry.last_used = now
                return entry.token
        return None

    async def get(self, deadline: float) -> AccessToken:
        """Answer a usable token, waiting until the deadline at most."""
        self._entry = await self._broker.obtain(self._scope, deadline)
        return self._entry.token

    async def on_unauthorized(
        self, authorization: Authorization, refusals: int, deadline: float
    ) -> AccessToken | None:
        """Answer what to repeat a request with after a 401, or None to give up.

        A complaint is about exactly the token that was refused. A new token gets a
        moment to become known; one stray 401 changes nothing; the second ends it.
        """
        # What a closed manager held counts for nothing any more.
        given_up = refusals > _REPLAYS or self._broker.closed
        if given_up or not isinstance(authorization, AccessToken):
            return None
        entry = self._broker.vault.held(self._scope)
        if entry is None or entry.token is not authorization:
            return await self.get(deadline)
        now, policy = self._now(), self._broker.policy
        minted = authorization.ends - authorization.lifetime
        if now - minted < shortened(policy.replication_grace, authorization.lifetime):
            return await self._later(
                shortened(float(refusals), authorization.lifetime), deadline
            )
        gap = shortened(policy.strike_gap, authorization.lifetime)
        if entry.struck_at is None:
            entry.struck_at = now
            self._broker.vault.struck(entry)
        elif now - entry.struck_at >= gap:
            if not self._broker.vault.replaceable(entry):
                return None
            self._broker.vault.revoke(authorization)
            return await self.get(deadline)
        shortest, longest = policy.strike_delay
        delay = shortest + (longest - shortest) * self._random()
        return await self._later(shortened(delay, authorization.lifetime), deadline)

    async def _later(self, delay: float, deadline: float) -> AccessToken | None:
        if self._now() + delay >= deadline:
            return None
        await self._clock.sleep(delay)
        return await self.get(deadline)
