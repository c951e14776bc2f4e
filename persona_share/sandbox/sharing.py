"""Connections between organizations, and the share tokens that go through them."""

from collections.abc import Iterator

import attrs

from persona_share.sandbox.calls import Caller
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.records import Json, Record


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
    #: Tells one offer from the next, so that a late acceptance finds its own only.
    offer: int = 0

    def concerns(self, caller: Caller) -> bool:
        """Answer whether the caller's organization is one of the two ends."""
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
    #: Who redeems: the environment that the new objects belong to.
    redeemer: Environment | None = None
    destination: Json | None = None
    mappings: tuple[tuple[str, str], ...] = ()

    @property
    def owner(self) -> Environment:
        """Answer the environment that the source object is in."""
        return self.source.owner

    def from_(self, caller: Caller) -> bool:
        """Answer whether the caller is the source."""
        return caller.environment is self.owner

    def to(self, caller: Caller) -> bool:
        """Answer whether the caller is the destination, in whatever environment."""
        return caller.organization_id == self.connection.destination_id

    def seen_by(self, caller: Caller) -> bool:
        """Answer whether the caller may know of this share token."""
        same_kind = caller.environment.kind == self.owner.kind
        return self.from_(caller) or (self.to(caller) and same_kind)


class Sharing:
    """Every connection and every share token, by id, in the order of making."""

    def __init__(self) -> None:
        self.connections: dict[str, Connection] = {}
        self.share_tokens: dict[str, ShareToken] = {}

    def connections_of(self, caller: Caller) -> Iterator[Connection]:
        """Go through the caller's connections, newest first."""
        for connection in reversed(self.connections.values()):
            if connection.concerns(caller):
                yield connection

    def share_tokens_of(self, caller: Caller) -> Iterator[ShareToken]:
        """Go through the share tokens that the caller sees, newest first."""
        for token in reversed(self.share_tokens.values()):
            if token.seen_by(caller):
                yield token
