"""Where a Redis is, and whether what is said to it can be overheard (T23)."""

import ipaddress
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

import attrs

from persona_share.errors import StoreRefusedError
from persona_share.model.secret import Secret, as_secret


#: What may stand after the question mark. The rest is ours to set: timeouts, retries
#: and the checks of certificates.
_OPTIONS: Final = frozenset(
    {"db", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"}
)


@attrs.frozen
class RedisAddress:
    """A checked URL; ``private``: nobody on a network can listen."""

    url: Secret
    private: bool

    @classmethod
    def of(cls, url: str | Secret) -> Self:
        """Check a URL.

        Raises:
            StoreRefusedError: it is none of Redis, or has options that weaken it.
        """
        secret = as_secret(url)
        try:
            parts = urlsplit(secret.reveal())
            host = parts.hostname or ""
            options = {name for name, _ in parse_qsl(parts.query)}
        except ValueError:
            message = "the URL of Redis cannot be read"
            raise StoreRefusedError(message) from None
        if parts.scheme not in {"redis", "rediss", "unix"}:
            message = "the URL of Redis must begin with rediss://, redis:// or unix://"
            raise StoreRefusedError(message)
        if options - _OPTIONS:
            message = f"the URL of Redis may have no option but {sorted(_OPTIONS)}"
            raise StoreRefusedError(message)
        return cls(secret, parts.scheme != "redis" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host in {"localhost", ""}:  # redis-py takes no host for localhost
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
