"""The options of a client, checked when it is created."""

import re
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

import attrs

from persona_share._protocol.http import (
    DEFAULT_VERSION,
    NOT_A_VERSION,
    is_version,
    warning_about_version,
)
from persona_share._warnings import warn_user
from persona_share.errors import ConfigurationError
from persona_share.model.ids import with_article
from persona_share.model.policy import (
    Pool,
    RateLimitPolicy,
    RetryPolicy,
    Timeouts,
    is_number,
)
from persona_share.model.secret import Secret
from persona_share.ports import Hook, SharedWindow


if TYPE_CHECKING:
    import aiohttp


_APP_INFO: Final = re.compile(r"[A-Za-z0-9._+-]{1,64}(/[A-Za-z0-9._+-]{1,32})?")


class ClientOptions(TypedDict, total=False):
    """The keyword options of `PersonaClient`."""

    base_url: str
    persona_version: str
    http: "aiohttp.ClientSession | None"
    retry: RetryPolicy | None
    rate_limit: RateLimitPolicy | SharedWindow | None
    timeouts: Timeouts | None
    timeout: float | Timeouts | None
    pool: Pool | None
    hooks: Iterable[Hook]
    insecure_local: bool | Iterable[str]
    proxy: str | Secret | None
    trust_env: bool
    ssl_context: ssl.SSLContext | None
    allowed_hosts: Iterable[str]
    file_hosts: Iterable[str]
    app_info: str | None
    check_identity: bool


class EnvironmentOptions(ClientOptions, total=False):
    """The keyword options of `PersonaClient.from_env`."""

    api_key: str | Secret


def _check_version(_: object, __: object, value: str) -> None:
    if not is_version(value):
        raise ConfigurationError(NOT_A_VERSION)
    if (warning := warning_about_version(value)) is not None:
        warn_user(warning)


def _rate_limit(value: object) -> RateLimitPolicy | SharedWindow:
    if value is None:
        return RateLimitPolicy()
    if isinstance(value, RateLimitPolicy):
        return value
    if callable(getattr(value, "take", None)):
        return cast("SharedWindow", value)
    message = "rate_limit must be a RateLimitPolicy or a SharedRateLimit"
    raise ConfigurationError(
        message, advice="Write rate_limit=RateLimitPolicy(mode='off'), for example."
    )


def _instance(kind: type) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Return a validator that accepts values of one type."""

    def check(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind):
            message = f"{field.name} must be {with_article(kind.__name__)}, not {with_article(type(value).__name__)}"
            raise ConfigurationError(message)

    return check


def _check_app_info(_: object, __: object, value: Any) -> None:
    if value is None or (isinstance(value, str) and _APP_INFO.fullmatch(value)):
        return
    message = "app_info must look like 'name/1.2'"
    raise ConfigurationError(message)


@attrs.frozen(kw_only=True)
class RequestOptions:
    """The options of requests: version, timeouts, retries and the rate limit."""

    persona_version: str = attrs.field(
        default=DEFAULT_VERSION, validator=_check_version
    )
    timeouts: Timeouts = attrs.field(factory=Timeouts, validator=_instance(Timeouts))
    retry: RetryPolicy = attrs.field(
        factory=RetryPolicy, validator=_instance(RetryPolicy)
    )
    rate_limit: RateLimitPolicy | SharedWindow = attrs.field(
        factory=RateLimitPolicy, converter=_rate_limit
    )
    pool: Pool = attrs.field(factory=Pool, validator=_instance(Pool))
    app_info: str | None = attrs.field(default=None, validator=_check_app_info)
    check_identity: bool = attrs.field(default=True, validator=_instance(bool))

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        return {
            "Accept": "application/json",
            "Key-Inflection": "kebab",
            "Persona-Version": self.persona_version,
        }


def checked_timeouts(timeouts: object = None, timeout: object = None) -> Timeouts:
    """Return the timeouts of a client; ``timeout`` is for a whole call.

    Raises:
        ConfigurationError: The value is neither a `Timeouts` nor a number above 0.
    """
    if timeouts is None and isinstance(timeout, Timeouts):
        timeouts = timeout
    if timeouts is not None:
        if not isinstance(timeouts, Timeouts):
            message = f"timeouts must be a Timeouts, not {with_article(type(timeouts).__name__)}"
            raise ConfigurationError(message, advice="Write Timeouts(call=30).")
        return timeouts
    if timeout is None:
        return Timeouts()
    if not is_number(timeout) or not cast("float", timeout) > 0:
        message = "timeout must be a number of seconds above 0"
        raise ConfigurationError(message)
    return Timeouts(call=cast("float", timeout))


def checked_hooks(hooks: object) -> tuple[Hook, ...]:
    """Return the hooks of a client or a manager.

    Raises:
        ConfigurationError: The value is not a list of callables.
    """
    if callable(hooks):
        message = "hooks must be a list of callables, not one callable"
        raise ConfigurationError(message, advice="Write hooks=[hook].")
    if not isinstance(hooks, Iterable) or isinstance(hooks, str | bytes):
        message = f"hooks must be a list of callables, not {with_article(type(hooks).__name__)}"
        raise ConfigurationError(message)
    found = tuple(hooks)
    for hook in found:
        if not callable(hook):
            message = (
                f"a hook must be callable, not {with_article(type(hook).__name__)}"
            )
            raise ConfigurationError(message)
    return found


def checked_hosts(hosts: object, name: str) -> tuple[str, ...]:
    """Return host names; raises `ConfigurationError` for any other value."""
    if isinstance(hosts, str | bytes) or not isinstance(hosts, Iterable):
        message = f"{name} must be a list of host names"
        raise ConfigurationError(message, advice=f"Write {name}=['host'].")
    found = tuple(hosts)
    if not all(isinstance(host, str) for host in found):
        message = f"{name} must be a list of host names"
        raise ConfigurationError(message)
    return found
