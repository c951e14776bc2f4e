"""Where files may be fetched from (T26): a few hosts, https, and no credential."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, urlsplit

import attrs

from persona_share._protocol.urls import Address, address_of, is_loopback
from persona_share.errors import InvalidArgumentError, PersonaError


#: The service's own host of files (page "Downloading files").
FILE_HOST: Final = "files.withpersona.com"

_PRINTABLE: Final = re.compile(r"[!-~]{1,8192}")
_PORTS: Final = (None, 443)
_UNREADABLE: Final = "is no plain address"


@attrs.frozen
class FilePlace:
    """A file's host, and the path and query below it, which are a secret."""

    address: Address
    target: str = attrs.field(repr=False)


def place_of(
    url: str, *, hosts: Iterable[str] = (), insecure_local: bool = False
) -> FilePlace:
    """Answer where a file lies, if it may be fetched from there.

    ``hosts`` are further ones beside the service's own. Raises `InvalidArgumentError`,
    whose text never repeats the URL.
    """
    allowed = frozenset({FILE_HOST, *(host.lower() for host in hosts)})
    found = _read(url, allowed, insecure_local=insecure_local)
    if isinstance(found, str):
        message = f"the address of the file {found}"
        raise InvalidArgumentError(message)
    return found


def _read(
    url: str, allowed: frozenset[str], *, insecure_local: bool
) -> FilePlace | str:
    """Answer the place, or why it is none."""
    parts = _parts(url)
    if parts is None:
        return _UNREADABLE
    host = parts.hostname or ""
    if "@" in parts.netloc:
        return "names a user"
    if not (insecure_local and is_loopback(host)):
        if parts.scheme != "https" or parts.port not in _PORTS:
            return "is not https on its usual port"
        if host not in allowed:
            return "lies on a host that was not allowed; see file_hosts="
    query = f"?{parts.query}" if parts.query else ""
    return _place(f"{parts.scheme}://{parts.netloc}", host, parts.path + query)


def _parts(url: object) -> SplitResult | None:
    """Answer an address in its parts, if it is a plain one."""
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url) or "#" in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    plain = parts.path.startswith("/") and ".." not in parts.path.split("/")
    return parts if plain else None


def _place(origin: str, host: str, target: str) -> FilePlace | str:
    with suppress(PersonaError):
        address = address_of(origin, insecure_local=True, allowed_hosts=[host])
        return FilePlace(address, target)
    return _UNREADABLE
