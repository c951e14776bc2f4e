"""How much a sandbox keeps in memory; the oldest entries are dropped."""

from typing import Any

import attrs

from persona_share.errors import ConfigurationError


@attrs.frozen(kw_only=True)
class Limits:
    """The largest number of entries of each table.

    A dropped object, code or token is unknown to later requests; a dropped
    idempotency key runs again.
    """

    #: Requests in `Log`.
    log_entries: int = 100_000
    #: Objects of each type, but for events.
    objects: int = 50_000
    #: Events, and webhook deliveries.
    events: int = 5_000
    #: Authorization codes, and access tokens.
    credentials: int = 50_000
    #: Share tokens, and connections.
    share_tokens: int = 10_000
    #: Outcomes by idempotency key.
    idempotency_keys: int = 50_000
    #: Requests whose headers and bodies the inspector shows.
    inspected_requests: int = 500

    def __attrs_post_init__(self) -> None:
        """Refuse a limit below 1."""
        if min(attrs.astuple(self)) < 1:
            message = "a limit of the sandbox must be at least 1"
            raise ConfigurationError(message)


def drop_oldest(table: dict[str, Any], limit: int) -> None:
    """Drop the oldest entry of a table with more entries than its limit."""
    if len(table) > limit:
        del table[next(iter(table))]
