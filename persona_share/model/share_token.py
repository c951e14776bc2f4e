"""Share tokens: offers to redeem one object, by the id of the share token.

The forms of older API versions are read as well: another name of a relationship, ids as
attributes, and the statuses ``new`` and ``completed``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

import attrs

from persona_share.model.attribute import Attribute, Link, OpenEnum
from persona_share.model.resource import Resource


class ShareTokenStatus(OpenEnum):
    """The status of a share token; the service may add more."""

    CREATED = "created"
    PENDING = "pending"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    FAILED = "failed"

    @classmethod
    def older(cls) -> Mapping[str, str]:
        """Return the member for each value of an older API version."""
        return {"new": "CREATED", "completed": "REDEEMED"}


#: The statuses that never change again.
FINAL_STATUSES: Final = frozenset(
    {ShareTokenStatus.REDEEMED, ShareTokenStatus.EXPIRED, ShareTokenStatus.FAILED}
)


class Direction(OpenEnum):
    """The side of the caller: ``outbound`` for the source organization."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class RedeemMode(OpenEnum):
    """Whether a redemption creates a new object or fills an existing one."""

    CLONE = "clone"
    HYDRATE = "hydrate"


class FailureReason(OpenEnum):
    """The reason of a failed redemption; the service may add more."""

    SOURCE_NOT_FOUND = "source_not_found"
    SOURCE_REDACTED = "source_redacted"
    IMPORT_FAILED = "import_failed"
    UNRECOVERABLE_ERROR = "unrecoverable_error"


class Visibility(OpenEnum):
    """Whether a peek shows a value, or only its presence."""

    FULL = "full"
    PRESENCE = "presence"


@attrs.frozen
class Peeked:
    """One value of a source object.

    With `Visibility.PRESENCE` the value is True if the source has one.
    """

    visibility: Visibility | None = None
    value: Any = attrs.field(default=None, repr=False)


@attrs.frozen
class SourceData:
    """The part of a source object that the destination sees before the redemption.

    Source: page "Peek source data"; the organization needs the capability.
    """

    type: str | None = None
    id: str | None = None
    peekable_attributes: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    related_objects: tuple["SourceData", ...] = ()

    @property
    def attributes(self) -> Mapping[str, Peeked]:
        """The visible attributes, by their names as they were sent."""
        return _peeked(
            {k: v for k, v in self.peekable_attributes.items() if k != "fields"}
        )

    @property
    def fields(self) -> Mapping[str, Peeked]:
        """The visible fields, by their own names."""
        return _peeked(self.peekable_attributes.get("fields"))


def _peeked(values: object) -> Mapping[str, Peeked]:
    found = values if isinstance(values, dict) else {}
    return {
        name: Peeked(_visibility(each.get("visibility")), each.get("value"))
        for name, each in found.items()
        if isinstance(each, dict)
    }


def _visibility(value: object) -> Visibility | None:
    return Visibility(value) if isinstance(value, str) else None


class ShareToken(Resource):
    """A share token, as seen by its source or its destination."""

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
        """The id of the source object; only the source organization sees it."""
        return self.source.id if self.source else self.read("source_id", str)

    @property
    def destination_id(self) -> str | None:
        """The id of the destination object; for a clone once it exists."""
        if self.destination:
            return self.destination.id
        return self.read("destination_id", str)

    @property
    def connection_id(self) -> str | None:
        """The id of the connection, or of a bridge in older API versions."""
        if self.connection:
            return self.connection.id
        return self.read("connection_id", str) or self.read("bridge_id", str)


@attrs.frozen(kw_only=True)
class Redemption:
    """A redeemed share token, and the object that has the data now."""

    token: ShareToken

    @property
    def mode(self) -> RedeemMode | None:
        """Whether a new object was created or an existing one filled."""
        return self.token.redeem_mode

    @property
    def destination_id(self) -> str | None:
        """The id of the object that has the data; only the destination sees it."""
        return self.token.destination_id

    @property
    def redeemed_at(self) -> datetime | None:
        """The time of the redemption."""
        return self.token.redeemed_at
