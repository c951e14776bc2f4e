"""Where requests may go: which base URL is accepted, and which credential goes there."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

import attrs

from persona_share.errors import ConfigurationError, InsecureOriginError


#: What every request goes to unless something else was asked for.
DEFAULT_BASE_URL: Final = "https://api.withpersona.com/api/v1"
#: The service's own hosts; the second is the address before 2024-12-12.
OFFICIAL_HOSTS: Final = frozenset({"api.withpersona.com", "withpersona.com"})
#: The mark in every credential that the sandbox makes.
SANDBOX_MARK: Final = "localbox_"

_PRINTABLE: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")
_DEFAULT_PORT: Final = {"https": 443, "http": 80}


@attrs.frozen
class Address:
    """A checked base URL.

    ``base_url`` is everything before an endpoint's path, without a slash at its end;
    ``origin`` is its scheme, host and port; ``secure`` says that it is https.
    """

    base_url: str
    origin: str
    host: str
    secure: bool
    loopback: bool


def address_of(
    base_url: str = DEFAULT_BASE_URL,
    *,
    insecure_local: bool = False,
    allowed_hosts: Iterable[str] = (),
) -> Address:
    """Answer the address behind a base URL, if requests may go there.

    Raises:
        InsecureOriginError: it is not https, nor a loopback address that was allowed.
        ConfigurationError: it is no plain base URL, or its host was not allowed.
    """
    parts, port = _parsed(str(base_url))  # a ready URL object will do, too
    host = parts.hostname or ""
    loopback = is_loopback(host)
    _check_scheme(parts.scheme, loopback=loopback, insecure_local=insecure_local)
    _check_host(host, loopback=loopback, allowed_hosts=allowed_hosts)
    shown = f"[{host}]" if ":" in host else host
    if port not in (None, _DEFAULT_PORT[parts.scheme]):
        shown = f"{shown}:{port}"
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path):
        message = "base_url has a path that is not made of plain segments"
        raise ConfigurationError(message)
    origin = f"{parts.scheme}://{shown}"
    return Address(origin + path, origin, host, parts.scheme == "https", loopback)


def origin_of(url: str) -> str | None:
    """Answer scheme, host and port of any URL (RFC 6454 §4), or None if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}:{port or _DEFAULT_PORT[parts.scheme]}"


def is_loopback(host: str) -> bool:
    """Answer whether a host is this machine by its very name (127.0.0.0/8, ::1)."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback


def check_credential(authorization: str, address: Address) -> None:
    """Raise `InsecureOriginError` for a sandbox's credential on its way elsewhere."""
    if SANDBOX_MARK in authorization and not address.loopback:
        message = "a sandbox's credential is only sent to a loopback address"
        raise InsecureOriginError(
            message, advice="Use the base_url of the sandbox that made it."
        )


def _parsed(base_url: str) -> tuple[SplitResult, int | None]:
    # Checked first: urlsplit() drops tabs and line ends without a word.
    if not _PRINTABLE.fullmatch(base_url):
        message = "base_url must be a text of printable ASCII characters"
        raise ConfigurationError(message)
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
        message = "base_url must look like https://host/path"
        raise ConfigurationError(message)
    if "@" in parts.netloc or "?" in base_url or "#" in base_url:
        message = "base_url must have no user, no query and no fragment"
        raise ConfigurationError(message)
    return parts, port


def _check_scheme(scheme: str, *, loopback: bool, insecure_local: bool) -> None:
    if scheme == "https" or (loopback and insecure_local):
        return
    message = (
        "http to a loopback address needs insecure_local=True"
        if loopback
        else "base_url is not https"
    )
    raise InsecureOriginError(message)


def _check_host(host: str, *, loopback: bool, allowed_hosts: Iterable[str]) -> None:
    if loopback or host in OFFICIAL_HOSTS:
        return
    if not _HOST.fullmatch(host) and ":" not in host:
        message = "base_url has a host with characters that host names never have"
        raise ConfigurationError(message)
    if host not in {allowed.lower() for allowed in allowed_hosts}:
        message = f"base_url has the host {host}, which is not Persona's"
        raise ConfigurationError(
            message, advice="If you trust it, name it in allowed_hosts=[…]."
        )
