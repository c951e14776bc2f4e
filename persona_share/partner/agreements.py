"""Agreements: the permissions that each partner can get, and their validity."""

import logging
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from persona_share._protocol.urls import BaseURL, parse_base_url
from persona_share.errors import ConfigurationError, PersonaError
from persona_share.model.ids import checked_id, kind_of_id, require_prefix
from persona_share.model.policy import is_number
from persona_share.model.scope import MAX_ATOMS, Scope, warning_about
from persona_share.partner.input_files import read_file
from persona_share.partner.keys import (
    Jwk,
    PublicKey,
    load_public_keys,
    public_keys,
    result_of,
)


#: The upper bound of ``codes_per_minute``. Persona allows 300 requests per minute by
#: default, and every code is one of them.
MAX_CODES_PER_MINUTE: Final = 3_000
_MAX_FILE: Final = 1024 * 1024
_LOG: Final = logging.getLogger("persona_share")
_KEYS: Final = frozenset(
    {
        "partner",
        "keys",
        "keys_file",
        "permissions",
        "valid_from",
        "valid_until",
        "codes_per_minute",
        "max_objects",
        "inbox",
    }
)


def web_address(url: str, what: str) -> BaseURL:
    """Return a checked https URL; plain http is accepted for loopback addresses only."""
    try:
        host = urlsplit(url).hostname or ""
    except (ValueError, AttributeError, TypeError):
        host = ""
    try:
        return parse_base_url(url, insecure_local=True, allowed_hosts=[host])
    except ConfigurationError as error:
        message = f"{what}: {error.what.replace('base_url', 'the URL')}"
        raise type(error)(message, advice="Use https://host/path.") from None


def check_timeout(seconds: float) -> None:
    """Raise `ConfigurationError` unless this is a number of seconds above 0."""
    if not is_number(seconds) or not seconds > 0:
        message = "timeout must be a number of seconds above 0"
        raise ConfigurationError(message)


def _partner(value: str) -> str:
    require_prefix(checked_id(value, "partner"), "organization-id")
    if kind_of_id(value) is None:
        _LOG.warning(
            "the partner of an agreement is %r, and ids of organizations begin with org_",
            value,
        )
    return value


def _instant(value: date) -> datetime:
    """Return a point in time with its zone; a date begins at midnight UTC."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            message = "a time of an agreement needs a time zone"
            raise ConfigurationError(message)
        try:
            return value.astimezone(UTC)
        except OverflowError:  # before the year 1 or after 9999 in UTC
            message = "a time of an agreement is too far away"
            raise ConfigurationError(message) from None
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    kind = type(value).__name__  # type: ignore[unreachable]  # callers may pass anything
    message = f"a time of an agreement is a date or datetime, not {kind}"
    raise ConfigurationError(message)


def _permissions(value: Iterable[str]) -> frozenset[str]:
    given: object = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable):
        message = f"permissions must be a list of str, not {type(given).__name__}"
        raise ConfigurationError(message)
    texts = list(given)
    if not all(isinstance(each, str) for each in texts):
        message = "permissions must be a list of str"
        raise ConfigurationError(message)
    scope = Scope(texts)
    if not scope or any(object_id is not None for _, object_id in scope.pairs()):
        message = "an agreement lists permissions such as 'inquiry.read', without ids"
        raise ConfigurationError(message)
    for warning in filter(None, map(warning_about, scope.atoms)):
        _LOG.warning("an agreement lists a permission: %s", warning)
    return frozenset(scope)


def _count(what: str, maximum: int) -> Any:
    def check(_: object, field: object, value: object) -> None:
        del field
        if isinstance(value, bool) or not isinstance(value, int):
            message = f"{what} must be a whole number"
            raise ConfigurationError(message)
        if not 1 <= value <= maximum:
            message = f"{what} must be between 1 and {maximum}"
            raise ConfigurationError(message)

    return check


@attrs.frozen(init=False)
class Agreement:
    """The limits of sharing with one partner.

    ``partner`` is its organization id and ``keys`` are its public JWKs; there are
    several during a rotation. ``permissions`` are those that it can get; each object
    also needs a consent. Dates begin at midnight UTC, and ``valid_until`` is exclusive.
    ``codes_per_minute`` is 60 by default, and at most 3,000. ``max_objects`` of one
    request is 256 by default, which is also the maximum. ``inbox`` is the URL to which
    codes are pushed.

    Raises:
        ConfigurationError: a value cannot be used.
    """

    partner: str = attrs.field(converter=_partner)
    keys: tuple[PublicKey, ...]
    permissions: frozenset[str] = attrs.field(converter=_permissions)
    valid_from: datetime = attrs.field(converter=_instant)
    valid_until: datetime = attrs.field(converter=_instant)
    codes_per_minute: int = attrs.field(
        validator=_count("codes_per_minute", MAX_CODES_PER_MINUTE)
    )
    max_objects: int = attrs.field(validator=_count("max_objects", MAX_ATOMS))
    inbox: str | None

    def __init__(
        self,
        *,
        partner: str,
        keys: Iterable[Jwk | PublicKey],
        permissions: Iterable[str],
        valid_from: date,
        valid_until: date,
        codes_per_minute: int = 60,
        max_objects: int = MAX_ATOMS,
        inbox: str | None = None,
    ) -> None:
        read = result_of(public_keys, keys)
        del keys  # frames in an error report must not contain a private key
        if isinstance(read, PersonaError):
            raise read
        self.__attrs_init__(
            partner,
            read,
            permissions,
            valid_from,
            valid_until,
            codes_per_minute,
            max_objects,
            inbox,
        )
        if self.valid_from >= self.valid_until:
            message = "an agreement must start before it ends"
            raise ConfigurationError(message)
        if self.inbox is not None:
            web_address(self.inbox, "inbox")


class Agreements:
    """The agreements of one organization: passed as objects, or read from a TOML file.

    The file, and each key file that it names, is read again when it changes, so an
    agreement can be ended without a restart. While a file cannot be read, there are no
    agreements.
    """

    def __init__(self, source: "Iterable[Agreement] | str | Path") -> None:
        self._path: Path | None = None
        self._files: Mapping[Path, object] = {}
        self._found: Mapping[str, Agreement] = {}
        if isinstance(source, str | Path):
            self._path = Path(source).expanduser()
            self._reload()
        else:
            self._found = _by_partner(source)

    def find(self, partner: str) -> Agreement | None:
        """Return the agreement with a partner, whether or not it is valid now.

        Raises:
            ConfigurationError: the file was changed and cannot be read.
        """
        self._reload()
        return self._found.get(partner)

    def __len__(self) -> int:
        return len(self._found)

    def _reload(self) -> None:
        if self._path is None or (
            self._files and self._files == _fingerprints(self._files)
        ):
            return
        # Cleared first: while a file cannot be read, there are no agreements.
        self._files, self._found = {}, {}
        read = result_of(_read, self._path)
        if isinstance(read, PersonaError):
            raise read
        files, agreements = read
        self._found = _by_partner(agreements)
        self._files = files


def load_agreements(path: str | Path) -> list[Agreement]:
    """Read the ``[[agreement]]`` tables of a TOML file.

    ``keys_file`` names a file with a JWK or a JWK set, relative to this one.

    Raises:
        ConfigurationError: the file cannot be read; the text says which table is wrong.
    """
    read = result_of(_read, Path(path).expanduser())
    if isinstance(read, PersonaError):
        raise read
    return read[1]


def _read(path: Path) -> tuple[Mapping[Path, object], list[Agreement]]:
    """Return the fingerprints of a file and of its key files, and the agreements."""
    # Before it is read: a change in the meantime is then noticed the next time.
    files = _fingerprints([path])
    tables = _tables(path)
    keys = [path.parent / each["keys_file"] for each in tables if _has_keys_file(each)]
    files = {**files, **_fingerprints(keys)}
    return files, [
        _from_table(table, path, n) for n, table in enumerate(tables, start=1)
    ]


def _tables(path: Path) -> Sequence[dict[str, Any]]:
    try:
        whole = tomllib.loads(read_file(path, _MAX_FILE)[0])
    except OSError as error:
        message = f"the agreements in {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from None
    except (ValueError, RecursionError) as error:
        message = f"{path} is not TOML: {error}"
        raise ConfigurationError(message) from None
    tables = whole.get("agreement", [])
    if (
        set(whole) - {"agreement"}
        or not isinstance(tables, list)
        or not all(isinstance(each, dict) for each in tables)
    ):
        message = f"{path} must contain only [[agreement]] tables"
        raise ConfigurationError(message)
    return tables


def _has_keys_file(table: dict[str, Any]) -> bool:
    return isinstance(table.get("keys_file"), str)


def _fingerprints(files: Iterable[Path]) -> Mapping[Path, object]:
    """Return the identity, size and time of each file, to detect changes."""
    found: dict[Path, object] = {}
    for path in files:
        with suppress(OSError, ValueError):  # a path can contain a null character
            status = path.stat()
            found[path] = status.st_mtime_ns, status.st_size, status.st_ino
    return found


def _from_table(table: dict[str, Any], path: Path, number: int) -> Agreement:
    where = f"{path}, agreement {number}"
    if unknown := sorted(set(table) - _KEYS):
        message = f"{where}: unknown key {unknown[0]!r}"
        raise ConfigurationError(message, advice=f"Known: {', '.join(sorted(_KEYS))}.")
    values = dict(table)
    needed = ("partner", "permissions", "valid_from", "valid_until")
    if missing := [name for name in needed if name not in values]:
        message = f"{where}: {missing[0]!r} is missing"
        raise ConfigurationError(message)
    try:
        if "keys_file" in values:
            more = load_public_keys(path.parent / _file_name(values.pop("keys_file")))
            keys = values.get("keys", [])
            values["keys"] = [*keys, *more] if isinstance(keys, list) else keys
        return Agreement(**{"keys": (), **values})
    except PersonaError as error:
        message = f"{where}: {error.what}"
        raise ConfigurationError(message) from None


def _file_name(value: object) -> str:
    if not isinstance(value, str):
        message = f"keys_file must be the name of a file, not {type(value).__name__}"
        raise ConfigurationError(message)
    return value


def _by_partner(agreements: Iterable[Agreement]) -> Mapping[str, Agreement]:
    several: object = agreements
    if not isinstance(several, Iterable):
        message = f"agreements must be a list or a path, not {type(several).__name__}"
        advice = "Write agreements=[…], also for one Agreement."
        raise ConfigurationError(message, advice=advice)
    found: dict[str, Agreement] = {}
    for each in agreements:
        given: object = each
        if not isinstance(given, Agreement):
            message = (
                f"agreements must be Agreement objects, not {type(given).__name__}"
            )
            raise ConfigurationError(message)
        if each.partner in found:
            message = f"there are two agreements with {each.partner}"
            advice = "Write one agreement with all keys of the partner."
            raise ConfigurationError(message, advice=advice)
        found[each.partner] = each
    return found
