"""Options of a call, and the query parameters that they become.

The same names are used everywhere: ``include``, ``fields``, ``filter``, page cursors,
and the options of `CallOptions`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypedDict, cast

from persona_share._protocol.http import (
    DEFAULT_VERSION,
    NOT_A_VERSION,
    is_version,
    warning_about_version,
)
from persona_share._protocol.query import QueryValue
from persona_share._warnings import warn_user
from persona_share.errors import InvalidArgumentError
from persona_share.model.attribute import OpenEnum


Include = Sequence[str]
Fields = Mapping[str, Sequence[str]]
Filter = Mapping[str, Any]


class CallOptions(TypedDict, total=False):
    """Options of one call, or defaults of a client's or session's copy.

    ``timeout`` is for the whole call, in seconds. ``retries`` is the number of further
    attempts, 0 for none. ``idempotency_key`` (POST only) has 1 to 255 letters, digits,
    ``_`` and ``-``. ``headers`` are added to the request. ``repeatable`` says that a
    POST may take effect twice without harm.
    """

    timeout: float
    retries: int
    idempotency_key: str
    persona_version: str
    repeatable: bool
    headers: Mapping[str, str]


class FieldsOptions(CallOptions, total=False):
    """Options of a call that returns an object without relationships.

    ``fields`` maps a type to the attributes to return. Source: page "Response body".
    """

    fields: Fields | None


class IncludeOptions(CallOptions, total=False):
    """Options of a call that sends field values as ``fields``.

    ``include`` names the relationships whose objects are returned as well.
    """

    include: Include | None


class RetrieveOptions(FieldsOptions, IncludeOptions, total=False):
    """Options of a call that returns an object."""


class PageOptions(CallOptions, total=False):
    """Options of a call that returns a listing.

    ``page_size`` is 1 to 100 (default 10). ``after`` and ``before`` are cursors of an
    earlier page.
    """

    page_size: int | None
    after: str | None
    before: str | None


class FieldsPageOptions(PageOptions, total=False):
    """Options of a listing whose objects cannot be filtered.

    ``fields`` maps a type to the attributes to return.
    """

    fields: Fields | None


class ListOptions(FieldsPageOptions, total=False):
    """Options of a listing whose objects can be filtered.

    ``filter`` has further conditions by the API's names; all conditions must hold.
    """

    filter: Filter | None


def split_options(
    options: Mapping[str, Any],
) -> tuple[dict[str, QueryValue], CallOptions]:
    """Return the query of ``include`` and ``fields``, and the remaining options."""
    rest = dict(options)
    query = select_query(rest.pop("include", None), rest.pop("fields", None))
    return query, cast("CallOptions", rest)


def select_query(
    include: Include | None, fields: Fields | None
) -> dict[str, QueryValue]:
    """Return the query of ``include`` and ``fields`` (JSON:API sparse fieldsets)."""
    query: dict[str, QueryValue] = {}
    if include is not None:
        query["include"] = _names("include", include)
    if fields is None:
        return query
    advice = "Map a type to attributes: fields={'inquiry': ['status']}."
    checked_mapping("fields", fields, advice)
    for type_name, names in fields.items():
        query[f"fields[{type_name}]"] = _names(f"fields[{type_name}]", names)
    return query


def filter_query(given: Filter | None, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the query of a filter, from its mapping and from named conditions.

    Names may be in snake_case or kebab-case; several values become one comma list.
    """
    conditions = dict(checked_mapping("filter", {} if given is None else given))
    for name, value in named.items():
        if value is None:
            continue
        if name in conditions or name.replace("_", "-") in conditions:
            message = f"{name} is given twice, by name and in filter="
            raise InvalidArgumentError(message)
        conditions[name] = value
    query: dict[str, Any] = {}
    for name, value in conditions.items():
        key = f"filter[{name.replace('_', '-')}]"
        several = isinstance(value, Iterable) and not isinstance(
            value, str | bytes | bytearray
        )
        if several and not isinstance(value, Mapping):
            value = tuple(value)  # noqa: PLW2901  # each page needs it again
        if several and not value:
            message = f"{name} is an empty list"
            advice = "Leave the condition out, or do not call if nothing can match."
            raise InvalidArgumentError(message, advice=advice)
        if isinstance(value, Mapping):
            query |= {f"{key}[{part}]": each for part, each in value.items()}
        else:
            query[key] = value
    return query


def check_status(kind: type[OpenEnum], value: object) -> None:
    """Warn about an unknown status, unless it is given as an enum member."""
    values = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    for each in values:
        if not isinstance(each, str) or isinstance(each, OpenEnum) or kind(each).known:
            continue
        known = ", ".join(member.value for member in kind)
        message = f"{each!r} is not a status that persona_share knows ({known})"
        warn_user(message)


def wire_names(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the values that have these names, with the API's spelling of the names."""
    return {name.replace("_", "-"): values[name] for name in names if name in values}


def checked_mapping(
    what: str, value: object, advice: str = InvalidArgumentError.advice
) -> Mapping[str, Any]:
    """Return a mapping with names; raises `InvalidArgumentError` for anything else."""
    if not isinstance(value, Mapping):
        message = f"{what} must be a mapping, not {type(value).__name__}"
        raise InvalidArgumentError(message, advice=advice)
    if not all(isinstance(name, str) for name in value):
        message = f"the names in {what} must be str"
        raise InvalidArgumentError(message, advice=advice)
    return value


def checked_list(what: str, value: object, *, of: str = "values") -> list[Any]:
    """Return an iterable as a list; raises `InvalidArgumentError` for one text."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        message = f"{what} must be a sequence of {of}, not one {type(value).__name__}"
        raise InvalidArgumentError(message)
    return list(value)


def _names(what: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        message = f"{what} must be a sequence of names, not {type(value).__name__}"
        raise InvalidArgumentError(message)
    return tuple(cast("Sequence[str]", value))


# ── Checks ───────────────────────────────────────────────────────────────────────

# Headers that only this library may set.
_RESERVED_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "idempotency-key",
        "key-inflection",
        "persona-version",
        "proxy-authorization",
        "transfer-encoding",
        "upgrade",
        "x-http-method-override",
    }
)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]{0,4096}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")


def checked_options(options: CallOptions) -> CallOptions:
    """Return the options, or raise `InvalidArgumentError` for an unusable one."""
    given: Mapping[str, object] = {**options}
    unknown = set(given) - CallOptions.__optional_keys__
    if unknown:
        message = f"unknown option: {', '.join(sorted(unknown))}"
        advice = f"The options are {', '.join(sorted(CallOptions.__optional_keys__))}."
        raise InvalidArgumentError(message, advice=advice)
    _check_number("timeout", given.get("timeout", 1.0), above=0)
    _check_number("retries", given.get("retries", 0), above=-1)
    _check_version(given.get("persona_version", DEFAULT_VERSION))
    if not _matches(_IDEMPOTENCY_KEY, given.get("idempotency_key", "k")):
        message = "idempotency_key must be 1 to 255 letters, digits, '_' and '-'"
        raise InvalidArgumentError(message)
    if not isinstance(given.get("repeatable", False), bool):
        message = "repeatable must be True or False"
        raise InvalidArgumentError(message)
    _check_headers(given.get("headers", {}))
    return options


def _check_version(value: object) -> None:
    if not isinstance(value, str) or not is_version(value):
        raise InvalidArgumentError(NOT_A_VERSION)
    if (warning := warning_about_version(value)) is not None:
        warn_user(warning)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
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


def _check_headers(headers: object) -> None:
    if not isinstance(headers, Mapping):
        message = f"headers must be a mapping, not {type(headers).__name__}"
        raise InvalidArgumentError(message)
    for name, value in headers.items():
        if not _matches(_HEADER_NAME, name):
            message = "the name of a header must be an ASCII token"
            raise InvalidArgumentError(message)
        if name.lower() in _RESERVED_HEADERS:
            message = f"the header {name} is set by the library and cannot be given"
            raise InvalidArgumentError(message)
        if not _matches(_HEADER_VALUE, value):
            message = f"the header {name} must be printable ASCII on one line"
            raise InvalidArgumentError(message)


# ── Statuses ─────────────────────────────────────────────────────────────────


ConnectionStatusName = Literal["pending", "active", "inactive", "archived"]
DirectionName = Literal["outbound", "inbound"]
InquiryStatusName = Literal[
    "created",
    "pending",
    "completed",
    "expired",
    "failed",
    "needs_review",
    "approved",
    "declined",
]
ShareTokenStatusName = Literal["created", "pending", "redeemed", "expired", "failed"]
