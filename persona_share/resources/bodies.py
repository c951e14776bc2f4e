"""The bodies of requests: encoded once, for all attempts."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlencode

import attrs
import orjson

from persona_share.errors import InvalidArgumentError


JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


@attrs.frozen
class Body:
    """A request's body, encoded once for all attempts."""

    content: bytes | None = attrs.field(default=None, repr=False)
    content_type: str | None = None

    @classmethod
    def of_json(cls, value: object) -> "Body":
        """Encode a JSON value; raises `InvalidArgumentError` if it is none."""
        content = None
        with suppress(TypeError, ValueError):  # orjson's own error would hold the value
            content = orjson.dumps(value)
        if content is None:
            message = "the body holds something that JSON cannot express"
            raise InvalidArgumentError(message)
        return cls(content, JSON)

    @classmethod
    def of_form(cls, values: Mapping[str, str]) -> "Body":
        """Encode a form."""
        return cls(urlencode(values).encode(), FORM)


NO_BODY: Final = Body()


def attributes_body(
    attributes: Mapping[str, Any], meta: Mapping[str, Any] | None = None
) -> Body:
    """Answer a document with these attributes, and with ``meta`` where there is any."""
    document: dict[str, Any] = {"data": {"attributes": attributes}}
    if meta:
        document["meta"] = meta
    return Body.of_json(document)


def meta_body(**values: Any) -> Body:
    """Answer a document with nothing but ``meta``; None means not said."""
    meta = {
        name.replace("_", "-"): value
        for name, value in values.items()
        if value is not None
    }
    return Body.of_json({"meta": meta}) if meta else NO_BODY
