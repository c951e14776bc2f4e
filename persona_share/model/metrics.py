"""Metrics of a token manager, without secrets."""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class TokenMetrics:
    """Counters since the manager was created, and current gauges.

    ``failing`` holds the failures since the last token, by the type of their error.
    ``tokens`` counts cached tokens by state (fresh, advisory, mandatory, expired).
    ``acquiring`` is the number of acquisitions under way. ``nearest_end`` is in
    seconds. ``exchange_level`` is the number of exchanges that may start now, or None
    while no limit is known. ``store_up`` says whether the token store responds, or None
    without a store.
    """

    minted: int = 0
    adopted: int = 0
    renewals: int = 0
    followers: int = 0
    codes_requested: int = 0
    codes_claimed: int = 0
    codes_rejected: int = 0
    codes_in_doubt: int = 0
    codes_expired_unused: int = 0
    failures: Mapping[str, int] = attrs.field(factory=dict)
    failing: Mapping[str, int] = attrs.field(factory=dict)
    waits: Mapping[str, int] = attrs.field(factory=dict)
    numbers_clamped: int = 0
    strikes: int = 0
    revoked: int = 0
    evicted: int = 0
    tokens: Mapping[str, int] = attrs.field(factory=dict)
    codes_waiting: int = 0
    acquiring: int = 0
    nearest_end: float | None = None
    exchange_level: float | None = None
    store_up: bool | None = None

    @property
    def codes_per_token(self) -> float | None:
        """The codes used per token: 1.00 is ideal, None before the first token."""
        return self.codes_claimed / self.minted if self.minted else None
