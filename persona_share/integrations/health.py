"""How the sharing does, for the health page of an application."""

from collections.abc import Mapping
from typing import Any

import attrs

from persona_share.manager import ScopedTokenManager


@attrs.frozen(kw_only=True)
class Health:
    """The tokens that are held by state, and when the first of them ends in seconds.

    No scope, no id and no secret is in it. ``failures`` counts exchanges that failed
    by the type of their error, since the manager was made. ``store_up`` is None where
    there is no store, or nobody has asked it yet.
    """

    tokens: Mapping[str, int]
    nearest_end: float | None
    codes_waiting: int
    codes_per_token: float | None
    failures: Mapping[str, int]
    store_up: bool | None

    def as_dict(self) -> dict[str, Any]:
        """Answer the same, ready for JSON."""
        return attrs.asdict(self)


def health_of(manager: ScopedTokenManager) -> Health:
    """Answer how a manager does, without any I/O."""
    metrics = manager.metrics()
    return Health(
        tokens=metrics.tokens,
        nearest_end=metrics.nearest_end,
        codes_waiting=metrics.codes_waiting,
        codes_per_token=metrics.codes_per_token,
        failures=metrics.failures,
        store_up=metrics.store_up,
    )
