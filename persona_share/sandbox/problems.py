"""Refusals in Persona's shape: ``{"errors": [{"title": …, "details": …}]}``."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

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


class Problem(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """An answer that is a refusal; whoever raises it ends the request with it."""

    def __init__(
        self,
        status: int,
        details: str | None = None,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.title: str = title or title_of(status)
        # A 401 names no details (the description's schema has none).
        self.details: str | None = (
            None if status == HTTPStatus.UNAUTHORIZED else details
        )
        self.headers: dict[str, str] = dict(headers or {})

    def body(self) -> bytes:
        """Answer the JSON of this refusal."""
        error = {"title": self.title}
        if self.details is not None:
            error["details"] = self.details
        return orjson.dumps({"errors": [error]})


def title_of(status: int) -> str:
    """Answer the usual title of a status."""
    if status in TITLES:
        return TITLES[status]
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
