"""The protocol as an OpenAPI document, for partners who write their own side."""

from importlib.resources import files
from typing import Any

import orjson


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of both endpoints."""
    text = files(__package__).joinpath("openapi.json").read_bytes()
    document: dict[str, Any] = orjson.loads(text)
    return document
