"""Inquiry templates, account types and transaction types: the schemas of fields."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.resource import Resource


@attrs.frozen
class FieldSchema:
    """The schema of one field; ``config`` depends on the type."""

    key: str | None = None
    type: str | None = None
    label: str | None = None
    default_value: Any = None
    config: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def is_required(self) -> bool:
        """Whether an object must have a value for this field."""
        return self.config.get("required") is True


class ResourceWithSchema(Resource):
    """An object that defines the fields of other objects."""

    __slots__ = ()

    name: Attribute[str] = Attribute(str)
    field_schemas: Attribute[tuple[FieldSchema, ...]] = Attribute(
        tuple[FieldSchema, ...]
    )

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(each.key for each in self.field_schemas or () if each.key)


class InquiryTemplate(ResourceWithSchema):
    """A template that inquiries are created from."""

    __slots__ = ()

    status: Attribute[str] = Attribute(str)
    embedded_flow_domain_allowlist: Attribute[tuple[str, ...]] = Attribute(
        tuple[str, ...]
    )
    hosted_flow_subdomains: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    hosted_flow_redirect_uri_schemes: Attribute[tuple[str, ...]] = Attribute(
        tuple[str, ...]
    )

    latest_published_version: Link = Link()


class AccountType(ResourceWithSchema):
    """The type of accounts."""

    __slots__ = ()

    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)

    account_statuses: Links = Links()
    default_account_status: Link = Link()


class TransactionType(ResourceWithSchema):
    """The type of transactions."""

    __slots__ = ()

    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
