"""The addresses that the sandbox listens on, and the Host headers that it serves."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import attrs

from persona_share.errors import ConfigurationError


def is_loopback(host: str) -> bool:
    """Return whether a name or address is always this machine."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_loopback_url(url: str) -> bool:
    """Return whether a URL always leads to this machine."""
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and is_loopback(parts.hostname or "")


def check_listening(host: str, *, anywhere: bool) -> None:
    """Refuse to listen on other addresses without ``anywhere``.

    Raises:
        ConfigurationError: for an address that other machines can reach.
    """
    if not anywhere and not is_loopback(host):
        message = f"{host} is not a loopback address; set listen_anywhere=True"
        raise ConfigurationError(message)


@attrs.frozen
class Access:
    """The hosts under which the sandbox can be reached."""

    anywhere: bool = False
    #: The host name that other machines and containers use for this one.
    public_host: str | None = None

    def allows(self, header: str | None) -> bool:
        """Return whether a Host header is served.

        A foreign name that resolves to this machine is DNS rebinding. Addresses cannot
        be rebound, so all of them are served if the sandbox listens anywhere.
        """
        if header is None:
            return False
        host = _without_port(header)
        public = self.public_host is not None and host == self.public_host.lower()
        return (
            public
            or is_loopback(host)
            or (self.anywhere and _address(host) is not None)
        )

    def origin(self, host: str, port: int) -> str:
        """Return the origin of a listening address as a client writes it."""
        return origin(self.public_host or host, port)


def origin(host: str, port: int) -> str:
    """Return the origin of a listening address for a client on this machine."""
    address = _address(host)
    if address is not None and address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"  # noqa: PLR2004 - IPv6
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
