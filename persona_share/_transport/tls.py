"""TLS and proxies: what a caller may bring along, and what is refused (T4, T5)."""

import base64
import ssl
from functools import cache

import attrs
from yarl import URL

from persona_share._protocol.urls import Address
from persona_share.errors import ConfigurationError, InsecureOriginError
from persona_share.model.secret import MaskedText, Secret


@cache
def default_context() -> ssl.SSLContext:
    """Answer the one context that trusts what this system trusts; TLS 1.2 or newer.

    It is made once, as reading the system's certificates takes milliseconds.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def checked_context(context: ssl.SSLContext | None, address: Address) -> ssl.SSLContext:
    """Answer the context to use; one that protects nothing is for loopback only.

    Raises:
        InsecureOriginError: the context does not verify certificate and host name, or
            would speak a protocol older than TLS 1.2.
    """
    if context is None:
        return default_context()
    if address.loopback:
        return context
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        message = "ssl_context does not verify the server's certificate and name"
        raise InsecureOriginError(
            message, advice="Add your own authority with load_verify_locations()."
        )
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        message = "ssl_context allows a protocol older than TLS 1.2"
        raise InsecureOriginError(
            message, advice="Leave its minimum_version at TLSVersion.TLSv1_2."
        )
    return context


@attrs.frozen
class Proxy:
    """A proxy's address without its credentials, and the header that carries them."""

    url: URL | None = None
    headers: dict[str, str] | None = attrs.field(default=None, repr=False)


def proxy_of(proxy: str | Secret | None, address: Address) -> Proxy:
    """Answer the proxy behind a URL that may hold a user and a password.

    Raises:
        ConfigurationError: it is no http or https URL.
        InsecureOriginError: the credential would pass the proxy in the clear.
    """
    if proxy is None:
        return Proxy()
    if not address.secure:
        message = "a request that is not https would show its credential to the proxy"
        raise InsecureOriginError(message)
    try:
        url = URL(proxy.reveal() if isinstance(proxy, Secret) else proxy)
    except (TypeError, ValueError):
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        message = "proxy must look like http://host:port"
        raise ConfigurationError(message) from None
    if url.user is None:
        return Proxy(url)
    login = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    headers: dict[str, str] = {"Proxy-Authorization": MaskedText(f"Basic {login}")}
    return Proxy(url.with_user(None), headers)
