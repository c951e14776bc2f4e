"""The two OAuth endpoints: request forms, and strictly parsed responses.

Repeated keys and wrong types are refused, which the codec would accept. Keys are
accepted in the three casings of the API; unknown keys are ignored (RFC 6749 §5.1).
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

import attrs

from persona_share.errors import (
    ExchangeProtocolError,
    InvalidArgumentError,
    InvalidScopeError,
    MalformedResponseError,
    PersonaError,
    UnsupportedTokenTypeError,
)
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret


MAX_LIFETIME: Final = 86_400
_MAX_TOKEN_LENGTH: Final = 8 * 1024
_MAX_DEPTH: Final = 64
_B64TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_SECONDS: Final = re.compile(r"([0-9]{1,32})(\.0{1,9})?")


@attrs.frozen
class TokenResponse:
    """The response of ``POST /oauth/token``; ``lifetime`` is in seconds.

    ``clamped`` says that the service sent a longer lifetime than the maximum.
    """

    token: Secret
    lifetime: float
    scope: Scope
    clamped: bool = False


@attrs.frozen
class AuthorizationResponse:
    """The response of ``POST /oauth/authorize``; ``lifetime`` is in seconds."""

    code: Secret
    lifetime: float


def authorize_form(client_id: str, scope: Scope) -> bytes:
    """Return the form of ``POST /oauth/authorize``, in kebab-case as documented."""
    form = {"client-id": client_id, "response-type": "code", "scope": str(scope)}
    return urlencode(form).encode()


def code_form(code: Secret) -> bytes:
    """Return the form that exchanges a code; the same code has the same bytes."""
    form = {"code": code.reveal(), "grant-type": "authorization_code"}
    return urlencode(form).encode()


def assertion_form(assertion: Secret, scope: Scope) -> bytes:
    """Return the form for client credentials, in snake_case as documented (RFC 7523)."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": (
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        ),
        "client_assertion": assertion.reveal(),
        "scope": str(scope),
    }
    return urlencode(form).encode()


def exchange_key(origin: str, code: Secret, epoch: int) -> Secret:
    """Return the idempotency key of a code's exchange, the same in every process.

    160 bits of SHA-256 in base 32; it reveals nothing of the code.
    """
    parts = ("persona-share/exchange", origin, code.reveal(), str(epoch))
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return Secret(base64.b32encode(digest[:20]).decode())


def checked_code(code: object) -> Secret:
    """Return a code as a secret; raises `InvalidArgumentError` if it is invalid."""
    if isinstance(code, str):
        code = Secret(code)  # an error report may show locals
    if not isinstance(code, Secret):
        message = (
            f"a code must be a str or an AuthorizationCode, not {type(code).__name__}"
        )
        raise InvalidArgumentError(message)
    if (
        not _PRINTABLE.fullmatch(code.reveal())
        or len(code.reveal()) > _MAX_TOKEN_LENGTH
    ):
        message = "an authorization code must be printable ASCII without spaces"
        raise InvalidArgumentError(message)
    return code


def parse_token(body: bytes, expected: Scope | None = None) -> TokenResponse:
    """Parse the response of ``POST /oauth/token``.

    A missing scope means the expected one (RFC 6749 §5.1). Raises
    `ExchangeProtocolError` or `UnsupportedTokenTypeError`, without the body.
    """
    values = _StrictObject(body, ExchangeProtocolError)
    token_type = values.text("token-type")
    if token_type.lower() != "bearer":
        message = "the token is not a bearer token"
        raise UnsupportedTokenTypeError(message)
    token = values.text("access-token")
    if len(token) > _MAX_TOKEN_LENGTH or not _B64TOKEN.fullmatch(token):
        values.refuse(
            "'access-token' is not the text of a bearer token (RFC 6750 §2.1)"
        )
    seconds = values.seconds("expires-in")
    if "scope" not in values:
        if expected is None:
            values.refuse("'scope' is missing")
        scope = expected
    else:
        try:
            scope = Scope.from_text(values.text("scope"))
        except InvalidScopeError as error:
            values.refuse(f"'scope' cannot be parsed: {error.what}")
        if expected is not None and scope == expected:
            scope = expected  # share one object
    lifetime = min(seconds, MAX_LIFETIME)
    return TokenResponse(
        Secret(token), float(lifetime), scope, clamped=lifetime < seconds
    )


def parse_authorization(body: bytes) -> AuthorizationResponse:
    """Parse the response of ``POST /oauth/authorize``.

    Raises `MalformedResponseError`.
    """
    values = _StrictObject(body, MalformedResponseError)
    code = values.text("code")
    if len(code) > _MAX_TOKEN_LENGTH or not _PRINTABLE.fullmatch(code):
        values.refuse("'code' is not printable ASCII")
    lifetime = min(values.seconds("expires-in"), MAX_LIFETIME)
    return AuthorizationResponse(Secret(code), float(lifetime))


class _StrictObject:
    """A small JSON object, whose keys and types are checked."""

    def __init__(self, body: bytes, error: type[PersonaError]) -> None:
        self._error = error
        try:
            text = body.decode("utf-8-sig")
            if _too_deep(text):
                self.refuse("the body is nested too deeply")
            values = json.loads(
                text, object_pairs_hook=_once, parse_constant=_no_constant
            )
        except ValueError:
            values = None
        if not isinstance(values, dict):
            self.refuse("the body is not one JSON object")
        self._values: dict[str, Any] = values

    def refuse(self, reason: str) -> NoReturn:
        raise self._error(reason) from None

    def __contains__(self, name: str) -> bool:
        return any(spelling in self._values for spelling in _spellings(name))

    def _value(self, name: str) -> Any:
        present = [key for key in _spellings(name) if key in self._values]
        if len(present) != 1:
            self.refuse(f"{name!r} is {'repeated' if present else 'missing'}")
        return self._values[present[0]]

    def text(self, name: str) -> str:
        value = self._value(name)
        if not isinstance(value, str):
            self.refuse(f"{name!r} is not a string")
        return value

    def seconds(self, name: str) -> int:
        value = self._value(name)
        if isinstance(value, str) and (digits := _SECONDS.fullmatch(value)):
            value = int(digits[1])
        value = whole(value)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            self.refuse(f"{name!r} is not a whole number of seconds above 0")
        return value


def whole(value: object) -> object:
    """Return a whole number as an int, in any spelling of JSON such as ``3599.0``."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _spellings(name: str) -> Iterable[str]:
    first, *rest = name.split("-")
    camel = first + "".join(word.title() for word in rest)
    return dict.fromkeys((name, name.replace("-", "_"), camel))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        message = "a key is repeated"
        raise ValueError(message)
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _too_deep(text: str) -> bool:
    depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                return True
        elif character in "]}":
            depth -= 1
    return False
