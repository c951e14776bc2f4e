"""What can be said of a single call, in the same words everywhere."""

import re
import warnings
from collections.abc import Mapping
from typing import Final, TypedDict

from persona_share._protocol import versions
from persona_share.errors import InvalidArgumentError


class CallOptions(TypedDict, total=False):
    """The options of one call, or of a client's or session's copy.

    ``timeout`` is for the whole call, in seconds; ``retries`` is how many further
    attempts there may be, 0 for none; ``idempotency_key`` (on POST) is 1 to 255 of
    letters, digits, ``_`` and ``-``; ``headers`` are added to the request's own;
    ``repeatable`` says that this POST may take effect twice without harm.
    """

    timeout: float
    retries: int
    idempotency_key: str
    persona_version: str
    repeatable: bool
    headers: Mapping[str, str]


# What this library sets itself; a caller's value would weaken or break it.
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "idempotency-key",
        "key-inflection",
        "persona-version",
        "proxy-authorization",
        "transfer-encoding",
    }
)
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE: Final = re.compile(r"[\x20-\x7e\t]{0,4096}")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")


def checked(options: CallOptions) -> CallOptions:
    """Answer the options, or raise `InvalidArgumentError` for what cannot be sent."""
    given: Mapping[str, object] = {**options}
    unknown = set(given) - CallOptions.__optional_keys__
    if unknown:
        message = f"no such option: {', '.join(sorted(unknown))}"
        raise InvalidArgumentError(message)
    _check_number("timeout", given.get("timeout", 1.0), above=0)
    _check_number("retries", given.get("retries", 0), above=-1)
    _check_version(given.get("persona_version", versions.DEFAULT))
    if not _fits(_KEY, given.get("idempotency_key", "k")):
        message = "idempotency_key must be 1 to 255 of letters, digits, '_' and '-'"
        raise InvalidArgumentError(message)
    if not isinstance(given.get("repeatable", False), bool):
        message = "repeatable must be True or False"
        raise InvalidArgumentError(message)
    _check_headers({**options.get("headers", {})})
    return options


def _check_version(value: object) -> None:
    if not isinstance(value, str) or not versions.is_date(value):
        raise InvalidArgumentError(versions.NO_DATE)
    if (doubt := versions.doubt_about(value)) is not None:
        warnings.warn(doubt, UserWarning, stacklevel=4)  # at the call, or close to it


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _check_number(name: str, value: object, *, above: int) -> None:
    match value:
        case bool():
            good = False
        case int():
            good = value > above
        case float():
            good = name == "timeout" and value > above
        case _:
            good = False
    if not good:
        message = f"{name} must be a number above {above}"
        raise InvalidArgumentError(message)


def _check_headers(headers: Mapping[str, object]) -> None:
    for name, value in headers.items():
        if not _fits(_NAME, name):
            message = "a header's name must be a token of ASCII characters"
            raise InvalidArgumentError(message)
        if name.lower() in _OURS:
            message = f"the header {name} is set by the library alone"
            raise InvalidArgumentError(message)
        if not _fits(_VALUE, value):
            message = f"the header {name} must be printable ASCII on one line"
            raise InvalidArgumentError(message)
