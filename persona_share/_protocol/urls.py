"""Validation of base URLs and file URLs, and of the origins that receive credentials."""

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, urlsplit

import attrs

from persona_share.errors import (
    ConfigurationError,
    InsecureOriginError,
    InvalidArgumentError,
    PersonaError,
)
from persona_share.model.secret import Secret


#: The service's base URL.
DEFAULT_BASE_URL: Final = "https://api.withpersona.com/api/v1"
#: The hosts of the service; the second was used before 2024-12-12.
OFFICIAL_HOSTS: Final = frozenset({"api.withpersona.com", "withpersona.com"})
#: The host of files (page "Downloading files").
FILE_HOST: Final = "files.withpersona.com"
#: The marker in every credential of a sandbox.
SANDBOX_MARK: Final = "localbox_"

_API_PATH: Final = "/api/v1"
_PRINTABLE: Final = re.compile(r"[!-~]+")
_MAX_FILE_URL: Final = 8192
# A host name, an IPv4 address or an IPv6 address in brackets, and an optional port.
_NETLOC: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::[0-9]*)?")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")
_DEFAULT_PORT: Final = {"https": 443, "http": 80}

#: True, or the hosts to which plain http and sandbox credentials may go.
InsecureLocal = bool | Iterable[str]


@attrs.frozen
class BaseURL:
    """A checked base URL.

    ``url`` precedes the path of every endpoint and has no trailing slash. ``origin`` is
    the scheme, host and port. ``secure`` means https, ``loopback`` a loopback address,
    and ``local`` a loopback address or a host named in ``insecure_local``.
    """

    url: str
    origin: str
    host: str
    secure: bool
    loopback: bool
    local: bool

    @property
    def peer(self) -> str:
        """The host and port, as errors show them."""
        name = self.origin.partition("://")[2]
        if name.rpartition(":")[2].isdigit() and not name.endswith("]"):
            return name
        return f"{name}:{_DEFAULT_PORT['https' if self.secure else 'http']}"

    @property
    def not_found_hint(self) -> str:
        """A hint about this URL for a 404 response, or an empty string."""
        if self.url.endswith(_API_PATH):
            return ""
        return (
            f"The base URL {self.url} does not end in {_API_PATH}: check it first, then"
            " the id."
        )


def parse_base_url(
    base_url: str = DEFAULT_BASE_URL,
    *,
    insecure_local: InsecureLocal = False,
    allowed_hosts: Iterable[str] = (),
) -> BaseURL:
    """Return the checked base URL.

    Raises:
        InsecureOriginError: It is neither https nor an allowed local host.
        ConfigurationError: It is not a plain base URL, or its host is not allowed.
    """
    parts, port = _parsed(str(base_url))  # URL objects are accepted as well
    host = parts.hostname or ""
    loopback = is_loopback(host)
    named = local_hosts(insecure_local)
    local = loopback or host in named
    _check_scheme(parts.scheme, host, local=local, insecure_local=insecure_local)
    if not local:
        _check_host(host, allowed_hosts)
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path):
        message = "base_url has a path with characters that are not allowed"
        raise ConfigurationError(message)
    shown = f"[{host}]" if ":" in host else host
    if port not in (None, _DEFAULT_PORT[parts.scheme]):
        shown = f"{shown}:{port}"
    origin = f"{parts.scheme}://{shown}"
    if host in OFFICIAL_HOSTS and path != _API_PATH:
        message = f"base_url is {origin}{path}, but the API is at {origin}{_API_PATH}"
        raise ConfigurationError(message)
    return BaseURL(
        url=origin + path,
        origin=origin,
        host=host,
        secure=parts.scheme == "https",
        loopback=loopback,
        local=local,
    )


def local_hosts(insecure_local: InsecureLocal) -> frozenset[str]:
    """Return the hosts that ``insecure_local`` names.

    Raises:
        ConfigurationError: It is neither a bool nor a list of host names.
    """
    if isinstance(insecure_local, bool):
        return frozenset()
    value: object = insecure_local
    if isinstance(value, str):
        hosts: list[object] = [value]
    else:
        hosts = list(value) if isinstance(value, Iterable) else [None]
    for host in hosts:
        if not isinstance(host, str) or not _HOST.fullmatch(host.lower()):
            message = "insecure_local must be True, False, or a list of host names"
            raise ConfigurationError(
                message, advice="Write host names without scheme and port: ['sandbox']."
            )
    return frozenset(str(host).lower() for host in hosts)


def origin_of(url: str) -> str | None:
    """Return the scheme, host and port of a URL (RFC 6454 §4), or None."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}:{port or _DEFAULT_PORT[parts.scheme]}"


def is_loopback(host: str) -> bool:
    """Return whether a host is ``localhost`` or a loopback address (127.0.0.0/8, ::1)."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback


def check_credential(authorization: str, base_url: BaseURL) -> None:
    """Raise `InsecureOriginError` if a credential of a sandbox would leave this network."""
    if not base_url.local and SANDBOX_MARK in authorization:
        message = "a sandbox's credential is only sent to a local host"
        raise InsecureOriginError(
            message,
            advice="Use the base_url of the sandbox that created it; for a host other than"
            " loopback name it: insecure_local=['host'].",
        )


def _parsed(base_url: str) -> tuple[SplitResult, int | None]:
    # Checked first: urlsplit() removes tabs and line breaks.
    if not _PRINTABLE.fullmatch(base_url):
        message = "base_url must be a str of printable ASCII characters"
        raise ConfigurationError(message)
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if "@" in parts.netloc or "?" in base_url or "#" in base_url:
        message = "base_url must have no user, no query and no fragment"
        raise ConfigurationError(message)
    plain = _NETLOC.fullmatch(parts.netloc) and parts.hostname
    if parts.scheme not in _DEFAULT_PORT or not plain:
        message = "base_url must look like https://host/path"
        raise ConfigurationError(message)
    return parts, port


def _check_scheme(
    scheme: str, host: str, *, local: bool, insecure_local: InsecureLocal
) -> None:
    if scheme == "https" or (local and insecure_local is not False):
        return
    if local:
        message = "http to a loopback address needs insecure_local=True"
        raise InsecureOriginError(message)
    message = "base_url is not https"
    raise InsecureOriginError(
        message,
        advice="Use https, or for a sandbox on another host of your own network name"
        f" the host: insecure_local=[{host[:100]!r}].",
    )


def _check_host(host: str, allowed_hosts: Iterable[str]) -> None:
    if host in OFFICIAL_HOSTS:
        return
    if not _HOST.fullmatch(host) and ":" not in host:
        message = "base_url has a host with characters that are not allowed"
        raise ConfigurationError(message)
    if host not in {allowed.lower() for allowed in allowed_hosts}:
        message = f"base_url has the host {host}, which is not Persona's"
        raise ConfigurationError(
            message, advice="If you trust it, add it to allowed_hosts=[…]."
        )


# ── Files ───────────────────────────────────────────────────────────────────────


@attrs.frozen
class FileURL:
    """The URL of a file; its path and query are secret."""

    base_url: BaseURL
    target: str = attrs.field(repr=False)


def parse_file_url(
    url: str | Secret,
    *,
    hosts: Iterable[str] = (),
    insecure_local: InsecureLocal = False,
) -> FileURL:
    """Return the checked URL of a file, which is fetched without a credential.

    ``hosts`` are allowed in addition to the service's own.

    Raises:
        InvalidArgumentError: It is not allowed; the text never contains the URL.
    """
    allowed = frozenset({FILE_HOST, *(host.lower() for host in hosts)})
    # Wrapped: frames in an error report must not contain the URL.
    url = Secret(url) if isinstance(url, str) else url
    found = _file_url(url, allowed, insecure_local)
    if isinstance(found, str):
        message = f"the URL of the file {found}"
        raise InvalidArgumentError(message)
    return found


_NOT_PLAIN: Final = "is not a plain URL"


def _file_url(
    url: object, allowed: frozenset[str], insecure_local: InsecureLocal
) -> FileURL | str:
    """Return the parsed URL, or the reason why it is refused."""
    parts = _file_parts(url.reveal() if isinstance(url, Secret) else url)
    if parts is None:
        return _NOT_PLAIN
    host = parts.hostname or ""
    if "@" in parts.netloc:
        return "contains a user name"
    local = is_loopback(host) or host in local_hosts(insecure_local)
    if not (local and insecure_local is not False):
        if parts.scheme != "https" or parts.port not in (None, 443):
            return "is not https on the default port"
        if host not in allowed:
            return "has a host that is not allowed; see file_hosts="
    query = f"?{parts.query}" if parts.query else ""
    with suppress(PersonaError):
        base_url = parse_base_url(
            f"{parts.scheme}://{parts.netloc}",
            insecure_local=[host] if local and ":" not in host else local,
            allowed_hosts=[host],
        )
        return FileURL(base_url, parts.path + query)
    return _NOT_PLAIN


def _file_parts(url: object) -> SplitResult | None:
    """Return the parts of a plain URL, or None."""
    if not isinstance(url, str) or len(url) > _MAX_FILE_URL:
        return None
    if not _PRINTABLE.fullmatch(url) or "#" in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    plain = parts.path.startswith("/") and ".." not in parts.path.split("/")
    return parts if plain else None
