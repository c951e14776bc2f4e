"""The last requests with their headers and bodies, shown without credentials."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs
import orjson

from persona_share.sandbox.responses import Response
from persona_share.sandbox.state.requests import Request


MASK: Final = "••••"

#: Keys whose values are credentials, without separators and in lower case.
_SECRET_KEYS: Final = frozenset(
    {
        "accesstoken",
        "authorization",
        "clientassertion",
        "code",
        "onetimelink",
        "onetimelinkshort",
        "personasignature",
        "secret",
        "secrets",
        "sessiontoken",
    }
)
_SECRETS: Final = re.compile(r"(localbox_|wbhsec_|persona_\w+?_)[\w.-]+")
_FILE_TOKENS: Final = re.compile(r"(access_token=)[^\"&\s]+")
_LONGEST_BODY: Final = 64 * 1024
_MACHINE_READABLE: Final = ("json", "x-www-form-urlencoded")


@attrs.frozen(eq=False)
class Exchange:
    """One request and its response; the methods return it without credentials."""

    number: int
    at: float
    seconds: float
    request: Request = attrs.field(repr=False)
    response: Response | None = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)

    @property
    def status(self) -> int | None:
        """Return the status, None for a closed connection."""
        return None if self.response is None else self.response.status

    def request_headers(self) -> dict[str, str]:
        """Return the headers of the request."""
        return {str(k): masked(v, k) for k, v in self.request.headers.items()}

    def response_headers(self) -> dict[str, str]:
        """Return the headers of the response."""
        return {k: masked(v, k) for k, v in self.headers.items()}

    def query(self) -> dict[str, str]:
        """Return the query parameters."""
        return {k: masked(v, k) for k, v in self.request.query}

    def request_body(self) -> Any:
        """Return the body of the request: JSON, form parameters, or its size."""
        kind = self.request.headers.get("Content-Type", "")
        return _shown(self.request.body, kind)

    def response_body(self) -> Any:
        """Return the body of the response: JSON, or its size."""
        if self.response is None:
            return None
        return _shown(self.response.body, self.response.content_type)


class Exchanges:
    """The last exchanges, oldest first."""

    def __init__(self, limit: int) -> None:
        self._all: deque[Exchange] = deque(maxlen=limit)
        self._numbers = count(1)

    def add(
        self,
        request: Request,
        response: Response | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> None:
        """Store an exchange."""
        number, at = next(self._numbers), request.arrived_at
        self._all.append(Exchange(number, at, seconds, request, response, headers))

    def clear(self) -> None:
        """Drop all exchanges."""
        self._all.clear()

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._all)

    def __reversed__(self) -> Iterator[Exchange]:
        return reversed(self._all)


def masked(value: Any, name: str = "") -> Any:
    """Return a value without the credentials in it."""
    key = name.replace("-", "").replace("_", "").lower()
    if key in _SECRET_KEYS and value is not None:
        scheme, space, _ = str(value).partition(" ")
        bearer = key == "authorization" and space
        return f"{scheme} {MASK}" if bearer else MASK
    if isinstance(value, dict):
        return {k: masked(v, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(each, name) for each in value]
    if isinstance(value, str):
        return _FILE_TOKENS.sub(rf"\1{MASK}", _SECRETS.sub(rf"\1{MASK}", value))
    return value


def _shown(body: bytes, content_type: str) -> Any:
    if not body:
        return None
    size = f"{len(body)} bytes"
    kind = next((k for k in _MACHINE_READABLE if k in content_type), None)
    if kind is None or len(body) > _LONGEST_BODY:
        return f"{content_type or 'unknown type'}, {size}"
    try:
        if kind == "json":
            return masked(orjson.loads(body))
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
    except ValueError:
        return f"unreadable, {size}"
    return {name: masked(value, name) for name, value in pairs}
