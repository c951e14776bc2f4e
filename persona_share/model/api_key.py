"""API keys of the organization."""

from datetime import datetime

from persona_share.model.attribute import Attribute
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret


class ApiKey(Resource):
    """An API key; ``value`` is only part of the response that creates the key."""

    __slots__ = ()

    name: Attribute[str] = Attribute(str)
    note: Attribute[str] = Attribute(str)
    value: Attribute[Secret] = Attribute(Secret)
    permissions: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    ip_address_allowlist: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    api_version: Attribute[str] = Attribute(str)
    api_key_inflection: Attribute[str] = Attribute(str)
    api_attributes_blocklist: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    file_access_token_expires_in: Attribute[int] = Attribute(int)
    last_used_at: Attribute[datetime] = Attribute(datetime)
    expires_at: Attribute[datetime] = Attribute(datetime)
    created_at: Attribute[datetime] = Attribute(datetime)
