"""A share token: an offer to redeem one object; its id is all that is handed over.

It reads what older versions of the API wrote, too: another relationship's name, ids as
attributes, and the statuses ``new`` and ``completed``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

import attrs

from persona_share.model.attribute import Attribute, Link
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


class ShareTokenStatus(OpenEnum):
    """Where a share token stands; the service may add more."""

    CREATED = "created"
    PENDING = "pending"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    FAILED = "failed"

    @classmethod
    def older(cls) -> Mapping[str, str]:
        """Answer which member each name of an older API version stands for."""
        return {"new": "CREATED", "completed": "REDEEMED"}


#: Nothing more happens to a token in one of these.
FINAL_STATUSES: Final = frozenset(
    {ShareTokenStatus.REDEEMED, ShareTokenStatus.EXPIRED, ShareTokenStatus.FAILED}
)


class Direction(OpenEnum):
    """Which side of a share token its reader is on: ``outbound`` is the source."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class RedeemMode(OpenEnum):
    """Whether a redemption makes a new object or fills one that is there."""

    CLONE = "clone"
    HYDRATE = "hydrate"


class FailureReason(OpenEnum):
    """Why a redemption failed; the service may add more."""

    SOURCE_NOT_FOUND = "source_not_found"
    SOURCE_REDACTED = "source_redacted"
    IMPORT_FAILED = "import_failed"
    UNRECOVERABLE_ERROR = "unrecoverable_error"


class Visibility(OpenEnum):
    """What a peek shows of a value: all of it, or only whether there is one."""

    FULL = "full"
    PRESENCE = "presence"


@attrs.frozen
class Peeked:
    """One value of a source that may be peeked at.

    With `Visibility.PRESENCE` the value says whether there is one.
    """

    visibility: Visibility | None = None
    value: Any = attrs.field(default=None, repr=False)


@attrs.frozen
class SourceData:
    """What the destination may see of a source before it redeems.

    Source: page "Peek source data"; only with the capability of that name.
    """

    type: str | None = None
    id: str | None = None
    peekable_attributes: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    related_objects: tuple["SourceData", ...] = ()

    @property
    def attributes(self) -> Mapping[str, Peeked]:
        """The attributes that may be peeked at, in the casing that came."""
        return _peeked(
            {k: v for k, v in self.peekable_attributes.items() if k != "fields"}
        )

    @property
    def fields(self) -> Mapping[str, Peeked]:
        """The fields that may be peeked at, under their own names."""
        return _peeked(self.peekable_attributes.get("fields"))


def _peeked(values: object) -> Mapping[str, Peeked]:
    found = values if isinstance(values, dict) else {}
    return {
        name: Peeked(Visibility(str(each.get("visibility"))), each.get("value"))
        for name, each in found.items()
        if isinstance(each, dict)
    }


class ShareToken(Resource):
    """A share token, as its source or its destination sees it."""

    __slots__ = ()

    _computed: ClassVar[tuple[str, ...]] = (
        "source_id",
        "destination_id",
        "connection_id",
    )

    status: Attribute[ShareTokenStatus] = Attribute(ShareTokenStatus)
    direction: Attribute[Direction] = Attribute(Direction)
    redeem_mode: Attribute[RedeemMode] = Attribute(RedeemMode)
    failure_reason: Attribute[FailureReason] = Attribute(FailureReason)
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
    pending_at: Attribute[datetime] = Attribute(datetime)
    redeemed_at: Attribute[datetime] = Attribute(datetime)
    expires_at: Attribute[datetime] = Attribute(datetime)
    failed_at: Attribute[datetime] = Attribute(datetime)
    source_data: Attribute[SourceData] = Attribute(SourceData)

    creator: Link = Link()
    source: Link = Link()
    destination: Link = Link()
    connection: Link = Link("connect_connection")

    @property
    def source_id(self) -> str | None:
        """The id of what is shared; only its source is told."""
        return self.source.id if self.source else self.read("source_id", str)

    @property
    def destination_id(self) -> str | None:
        """The id of what it becomes; for a clone only when that is done."""
        if self.destination:
            return self.destination.id
        return self.read("destination_id", str)

    @property
    def connection_id(self) -> str | None:
        """The id of the connection, or of the bridge that came before connections."""
        if self.connection:
            return self.connection.id
        return self.read("connection_id", str) or self.read("bridge_id", str)


@attrs.frozen(kw_only=True)
class Redemption:
    """A share token that was redeemed, and what became of it."""

    token: ShareToken

    @property
    def mode(self) -> RedeemMode | None:
        """Whether a new object was made or an existing one filled."""
        return self.token.redeem_mode

    @property
    def destination_id(self) -> str | None:
        """The id of the object that now holds the data; only its owner is told."""
        return self.token.destination_id

    @property
    def redeemed_at(self) -> datetime | None:
        """When it was done."""
        return self.token.redeemed_at
