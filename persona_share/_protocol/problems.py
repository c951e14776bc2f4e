"""The body of an error response: its first error, as the service wrote it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import attrs

from persona_share._protocol.http import Response
from persona_share._protocol.json import NotJsonError, parse_json


_FIRST_ERROR_STATUS: Final = 400


@attrs.frozen
class Problem:
    """The words of one error (API page "Errors"); not yet fit to be shown."""

    title: str = attrs.field(default="", repr=False)
    details: str = attrs.field(default="", repr=False)
    pointer: str = attrs.field(default="", repr=False)

    @property
    def quota(self) -> bool:
        """Whether a product's quota is used up, which 403 and 429 both may mean."""
        return "quota" in self.title.lower()

    @property
    def mismatch(self) -> bool:
        """Whether an idempotency key came with another request than before."""
        return self.title.lower() == "idempotency error"


_SILENT: Final = Problem()


@lru_cache(maxsize=64)  # it is asked of every answer
def is_json(content_type: str) -> bool:
    """Return whether a Content-Type is JSON, whatever its parameters and case."""
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def problem_of(response: Response) -> Problem:
    """Return the first error of a response, or an empty one if it has none."""
    if response.status < _FIRST_ERROR_STATUS or not response.body:
        return _SILENT
    if not is_json(response.headers.get("content-type", "")):
        return _SILENT
    try:
        document = parse_json(response.body)
    except NotJsonError:
        return _SILENT
    errors = document.get("errors") if isinstance(document, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return _SILENT
    return Problem(
        _text(first, "title"),
        # Documented as "details"; "detail" is what JSON:API says.
        _text(first, "details") or _text(first, "detail"),
        _text(first.get("source"), "pointer"),
    )


def _text(values: object, name: str) -> str:
    value = values.get(name) if isinstance(values, Mapping) else None
    return value if isinstance(value, str) else ""
