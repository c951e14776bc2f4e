"""Requests with their callers, their exchanges, and the log."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import attrs
import orjson

from persona_share.sandbox.responses import Response
from persona_share.sandbox.state.grants import Token
from persona_share.sandbox.state.organizations import ApiKey, Environment


@attrs.frozen
class Caller:
    """The credential of a request: API key, access token, or OAuth client."""

    kind: Literal["api_key", "access_token", "oauth_client"]
    identity: str
    #: The environment whose objects the caller sees.
    environment: Environment
    #: The environment whose ids the response headers name.
    reported: Environment
    #: The environment whose rate limit the request counts against.
    rate_limited: Environment
    key: ApiKey | None = None
    token: Token | None = None

    @property
    def organization_id(self) -> str:
        """Return the organization that acts, even on objects of another one."""
        if self.token is not None:
            return self.token.holder.organization_id
        return self.environment.organization_id

    def may(self, permission: str, object_id: str) -> bool:
        """Return whether the caller has this permission on this object."""
        if self.token is not None:
            return self.token.allows(permission, object_id)
        return self.key is not None and self.key.allows(permission)


@attrs.define
class Request:
    """One request with its whole body."""

    method: str
    path: str
    operation: str
    params: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    arrived_at: float
    request_id: str = ""
    inflection: str = "kebab"
    version: str = ""
    _caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Return the caller; set by authentication."""
        if self._caller is None:
            message = "the request is not authenticated yet"
            raise RuntimeError(message)
        return self._caller

    @caller.setter
    def caller(self, caller: Caller) -> None:
        """Set the caller."""
        self._caller = caller

    @property
    def known_caller(self) -> Caller | None:
        """Return the caller, or None before authentication."""
        return self._caller

    @property
    def object_id(self) -> str | None:
        """Return the id in the path, or None."""
        return next(iter(self.params.values()), None)


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
_MAX_BODY: Final = 64 * 1024
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
    #: The bytes of both bodies; a long body itself is not stored.
    sizes: tuple[int, int]

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
        return _shown(self.request.body, self.sizes[0], kind)

    def response_body(self) -> Any:
        """Return the body of the response: JSON, or its size."""
        if self.response is None:
            return None
        return _shown(self.response.body, self.sizes[1], self.response.content_type)


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
        """Store an exchange, without a body that is too long to be shown."""
        number, at = next(self._numbers), request.arrived_at
        sizes = len(request.body), 0 if response is None else len(response.body)
        if sizes[0] > _MAX_BODY:
            request = attrs.evolve(request, body=b"")
        if response is not None and sizes[1] > _MAX_BODY:
            response = attrs.evolve(response, body=b"")
        self._all.append(
            Exchange(number, at, seconds, request, response, headers, sizes)
        )

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


def _shown(body: bytes, length: int, content_type: str) -> Any:
    if not length:
        return None
    size = f"{length} bytes"
    kind = next((k for k in _MACHINE_READABLE if k in content_type), None)
    if kind is None or not body:
        return f"{content_type or 'unknown type'}, {size}"
    try:
        if kind == "json":
            return masked(orjson.loads(body))
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
    except ValueError:
        return f"unreadable, {size}"
    return {name: masked(value, name) for name, value in pairs}


@attrs.frozen
class Entry:
    """One request and its response; ``status`` is None for a closed connection.

    ``idempotency_key`` and ``token`` are keyed hashes: compare them with each other or
    with `Log.digest`.
    """

    at: float
    operation: str
    status: int | None
    organization: str | None = None
    credential: str | None = None
    token: str | None = None
    idempotency_key: str | None = None
    object_id: str | None = None
    request_id: str | None = None
    replayed: bool = False
    user_agent: str | None = None


class Log:
    """All requests in the order of their responses, and counts of OAuth operations."""

    def __init__(self, digest: Callable[[str], str], limit: int) -> None:
        self._digest = digest
        self._entries: deque[Entry] = deque(maxlen=limit)
        self.codes_issued: int = 0
        self.codes_redeemed: int = 0
        self.tokens_issued: int = 0
        #: Requests to the file server that had an Authorization header.
        self.authorizations_at_files: int = 0
        #: Errors of the sandbox itself; a test can check that there are none.
        self.crashes: list[BaseException] = []

    def append(self, entry: Entry) -> None:
        """Append an entry."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Remove all entries and reset the counts."""
        self._entries.clear()
        self.codes_issued = self.codes_redeemed = self.tokens_issued = 0
        self.authorizations_at_files = 0

    def digest(self, text: str) -> str:
        """Return the hash of a key or token that the entries contain."""
        return self._digest(text)

    def find(
        self,
        operation: str | None = None,
        *,
        status: int | None = None,
        object_id: str | None = None,
        replayed: bool | None = None,
    ) -> list[Entry]:
        """Return the entries that match all arguments."""
        wanted = {
            "operation": operation,
            "status": status,
            "object_id": object_id,
            "replayed": replayed,
        }
        given = [(name, value) for name, value in wanted.items() if value is not None]
        return [
            entry
            for entry in self._entries
            if all(getattr(entry, name) == value for name, value in given)
        ]

    def count(
        self,
        operation: str | None = None,
        *,
        status: int | None = None,
        object_id: str | None = None,
        replayed: bool | None = None,
    ) -> int:
        """Return the number of entries that match all arguments."""
        found = self.find(
            operation, status=status, object_id=object_id, replayed=replayed
        )
        return len(found)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]
