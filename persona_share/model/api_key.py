"""API keys of the organization, the logs of their requests, and rate limits."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from persona_share.model.attribute import Attribute, Link
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


# ── Logs and rate limits ─────────────────────────────────────────────────────


class ApiLog(Resource):
    """One request and its response; the id is the request id (``req_…``)."""

    __slots__ = ()

    request: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    response: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    created_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    api_key: Link = Link()


class RateLimit(Resource):
    """One limit at this moment; it has no id."""

    __slots__ = ()
    _id_optional = True

    limit: Attribute[int] = Attribute(int)
    remaining: Attribute[int] = Attribute(int)
    seconds_to_reset: Attribute[int] = Attribute(int)
