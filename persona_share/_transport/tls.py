"""TLS contexts and proxies: which ones a caller may configure."""

import base64
import ssl
from functools import cache
from typing import Final
from urllib.request import (  # type: ignore[attr-defined]
    getproxies_environment,
    proxy_bypass_environment,
)

import attrs
from yarl import URL

from persona_share._protocol.urls import BaseURL
from persona_share.errors import ConfigurationError, InsecureOriginError
from persona_share.model.secret import MaskedText, Secret


_HTTP: Final = ("http", "https")


@cache
def default_context() -> ssl.SSLContext:
    """Return the one context that trusts what this system trusts; TLS 1.2 or newer.

    It is created once, because reading the system's certificates is slow.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def checked_context(
    context: ssl.SSLContext | None, base_url: BaseURL
) -> ssl.SSLContext:
    """Return the context to use; an insecure one is accepted for loopback only.

    Raises:
        ConfigurationError: it is not an `ssl.SSLContext`.
        InsecureOriginError: the context does not verify certificate and host name, or
            would speak a protocol older than TLS 1.2.
    """
    if context is None:
        return default_context()
    given: object = context
    if not isinstance(given, ssl.SSLContext):
        message = f"ssl_context must be an ssl.SSLContext, not {type(given).__name__}"
        raise ConfigurationError(
            message,
            advice="Verification cannot be switched off. For an authority of your own"
            " pass ssl.create_default_context(cafile='ca.pem').",
        )
    if base_url.loopback:
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
    """A proxy's URL without its credentials, and the header that contains them."""

    url: URL | None = None
    headers: dict[str, str] | None = attrs.field(default=None, repr=False)

    @property
    def peer(self) -> str:
        """The proxy's host and port, as errors show them; empty if there is none."""
        if self.url is None:
            return ""
        host = self.url.host or ""
        return f"[{host}]:{self.url.port}" if ":" in host else f"{host}:{self.url.port}"


def proxy_for(
    base_url: BaseURL, proxy: str | Secret | None = None, *, trust_env: bool = False
) -> Proxy:
    """Return the proxy to use: the given one, else the environment's if it is trusted.

    The environment's are HTTPS_PROXY and ALL_PROXY, unless NO_PROXY names the host.

    Raises:
        ConfigurationError: it is no http or https URL.
        InsecureOriginError: the proxy could read the credential.
    """
    source = "proxy"
    if proxy is None and trust_env and base_url.secure:
        proxy = _proxy_of_environment(base_url.host)
        source = "the proxy in the environment (HTTPS_PROXY or ALL_PROXY)"
    if proxy is None:
        return Proxy()
    if not base_url.secure:
        message = "a proxy could read the credential of a request that is not https"
        advice = (
            "Leave out proxy= for a local sandbox; use https for any other address."
        )
        raise InsecureOriginError(message, advice=advice)
    try:
        url = URL(proxy.reveal() if isinstance(proxy, Secret) else proxy)
    except (TypeError, ValueError):
        url = URL()
    if url.scheme not in _HTTP or not url.host:
        url = URL()  # tracebacks must not show its password
        message = f"{source} must look like http://host:port"
        raise ConfigurationError(message) from None
    if url.user is None:
        return Proxy(url)
    login = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    headers: dict[str, str] = {"Proxy-Authorization": MaskedText(f"Basic {login}")}
    return Proxy(url.with_user(None), headers)


def unused_proxy(base_url: BaseURL, chosen: Proxy) -> str:
    """Return advice if the environment names a proxy that is not used, else nothing."""
    if chosen.url is not None or base_url.local or not base_url.secure:
        return ""
    if _proxy_of_environment(base_url.host) is None:
        return ""
    return " HTTPS_PROXY is set and not used: pass trust_env=True (--trust-env) for it."


def _proxy_of_environment(host: str) -> Secret | None:
    proxies = getproxies_environment()
    if proxy_bypass_environment(host, proxies):
        return None
    found = proxies.get("https") or proxies.get("all")
    if not found:
        return None
    return Secret(found if "://" in found else f"http://{found}")
