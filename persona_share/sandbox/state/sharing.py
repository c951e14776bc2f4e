"""Connections between organizations, and the share tokens that go through them."""

from collections.abc import Iterator
from typing import Final

import attrs

from persona_share.sandbox.behavior.limits import drop_oldest
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Caller


#: The status of a connection that only the share tokens still name.
ARCHIVED: Final = "archived"


@attrs.define(eq=False, kw_only=True)
class Connection:
    """One connection; it belongs to whole organizations, not to environments."""

    id: str
    source_id: str
    destination_id: str
    creator: Json
    created_at: float
    updated_at: float
    status: str = "pending"
    #: Counts offers, so that a late acceptance applies only to its own offer.
    offer_number: int = 0

    def concerns(self, caller: Caller) -> bool:
        """Return whether the caller's organization is one of the two ends."""
        return caller.organization_id in (self.source_id, self.destination_id)


@attrs.define(eq=False, kw_only=True)
class ShareToken:
    """One share token; its id is what the destination redeems."""

    id: str
    connection: Connection
    source: Record
    creator: Json
    created_at: float
    updated_at: float
    expires_at: float
    status: str = "created"
    pending_at: float | None = None
    redeemed_at: float | None = None
    failed_at: float | None = None
    failure_reason: str | None = None
    redeem_mode: str | None = None
    #: The environment that redeems and owns the new objects.
    redeemer: Environment | None = None
    destination: Json | None = None
    mappings: tuple[tuple[str, str], ...] = ()

    @property
    def owner(self) -> Environment:
        """Return the environment that the source object is in."""
        return self.source.owner

    def is_source(self, caller: Caller) -> bool:
        """Return whether the caller is the source."""
        return caller.environment is self.owner

    def is_destination(self, caller: Caller) -> bool:
        """Return whether the caller is the destination, in any environment."""
        return caller.organization_id == self.connection.destination_id

    def visible_to(self, caller: Caller) -> bool:
        """Return whether the caller can see this share token."""
        same_kind = caller.environment.kind == self.owner.kind
        return self.is_source(caller) or (self.is_destination(caller) and same_kind)


class Sharing:
    """Every connection and every share token, by id, in the order of making."""

    def __init__(self, limit: int) -> None:
        self.connections: dict[str, Connection] = {}
        self.share_tokens: dict[str, ShareToken] = {}
        self._limit = limit

    def clear(self) -> None:
        """Drop all connections and share tokens."""
        self.connections.clear()
        self.share_tokens.clear()

    def add_connection(self, connection: Connection) -> None:
        """Store a connection."""
        self.connections[connection.id] = connection
        drop_oldest(self.connections, self._limit)

    def add_share_token(self, token: ShareToken) -> None:
        """Store a share token."""
        self.share_tokens[token.id] = token
        drop_oldest(self.share_tokens, self._limit)

    def connections_of(self, caller: Caller) -> Iterator[Connection]:
        """Yield the caller's connections, newest first."""
        for connection in reversed(self.connections.values()):
            if connection.concerns(caller) and connection.status != ARCHIVED:
                yield connection

    def share_tokens_of(self, caller: Caller) -> Iterator[ShareToken]:
        """Yield the share tokens that the caller sees, newest first."""
        for token in reversed(self.share_tokens.values()):
            if token.visible_to(caller):
                yield token
