"""API logs: the requests that were made with the organization's keys and tokens."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from persona_share.model.attribute import Attribute, Link
from persona_share.model.resource import Resource


class ApiLog(Resource):
    """One request and its response; the id is the request id (``req_…``)."""

    __slots__ = ()

    request: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    response: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    created_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    api_key: Link = Link()
