"""Responses, and errors in Persona's format: ``{"errors": [{"title", "details"}]}``."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import attrs
import orjson


TITLES: Final = {
    400: "Bad Request",
    401: "Token is invalid",
    403: "Forbidden",
    404: "Record not found",
    409: "Conflict",
    422: "Unprocessable entity",
    429: "Rate limit exceeded",
    503: "Service unavailable",
}


@attrs.frozen
class Response:
    """A response as it is stored and sent: status, body, and its own headers.

    A header of None removes the default header of that name.
    """

    status: int
    body: bytes
    headers: Mapping[str, str | None] = attrs.field(factory=dict)
    content_type: str = "application/json"
    request_id: str = ""
    at: float = 0.0
    replayed: bool = False


class ApiError(Exception):
    """Ends the request with an error response."""

    def __init__(
        self,
        status: int,
        details: str | None = None,
        *,
        title: str | None = None,
        pointer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.title: str = title or title_of(status)
        # Persona's schema of a 401 has no details.
        self.details: str | None = (
            None if status == HTTPStatus.UNAUTHORIZED else details
        )
        #: The JSON pointer of the attribute at fault, for ``source.pointer``.
        self.pointer = pointer
        self.headers: dict[str, str] = dict(headers or {})

    def response(self, *, with_pointer: bool = False) -> Response:
        """Return the response of this error."""
        error: dict[str, object] = {"title": self.title}
        if self.details is not None:
            error["details"] = self.details
        if with_pointer and self.pointer is not None:
            error["source"] = {"pointer": self.pointer}
        return Response(self.status, orjson.dumps({"errors": [error]}), self.headers)


def title_of(status: int) -> str:
    """Return the usual title of a status."""
    if status in TITLES:
        return TITLES[status]
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


def rate_limit_details(limit: int) -> str:
    """Return the documented details of a 429."""
    return (
        f"You have hit your rate limit of {limit} requests / min. Please "
        "reach out to support@withpersona.com if you need this changed."
    )
