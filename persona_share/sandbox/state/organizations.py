"""Organizations with their environments, API keys and rate limits."""

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs

from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.responses import ApiError, rate_limit_details


WINDOW: Final = 60.0
#: The announced limit if there is none.
UNLIMITED: Final = 100_000


@attrs.define(eq=False)
class Window:
    """One rate limit and its use in the running window."""

    limit: int | None
    used: int = 0
    _began: float | None = None

    def advance_to(self, now: float) -> None:
        """Begin a new window if there is none or the last one is over."""
        if self._began is None or now >= self._began + WINDOW or now < self._began:
            self._began, self.used = now, 0

    def is_running(self, now: float) -> bool:
        """Return whether the window has begun and not ended."""
        return self._began is not None and self._began <= now < self._began + WINDOW

    @property
    def announced(self) -> int:
        """Return the limit of the header."""
        return UNLIMITED if self.limit is None else self.limit

    @property
    def remaining(self) -> int:
        """Return the remaining requests of the window."""
        return max(0, self.announced - self.used)

    @property
    def full(self) -> bool:
        """Return whether the next request is refused."""
        return self.limit is not None and self.used >= self.limit

    def resets_in(self, now: float) -> float:
        """Return the seconds until the window ends."""
        began = now if self._began is None else self._began
        return max(0.0, began + WINDOW - now)


def count_request(windows: Sequence[Window], now: float, switches: Switches) -> Window:
    """Count one request in each window and return the one with the least left.

    Raises:
        ApiError: 429 if one of them is full; then no window counts it.
    """
    for window in windows:
        window.advance_to(now)
        if window.full:
            raise rate_limit_error(window, now, switches)
    for window in windows:
        window.used += 1
    return min(windows, key=lambda window: window.remaining)


def rate_limit_error(window: Window, now: float, switches: Switches) -> ApiError:
    """Return the error for one request too many."""
    headers = rate_headers(window, now, switches)
    headers["RateLimit-Remaining"] = "0"
    if switches.retry_after_on_429:
        headers["Retry-After"] = str(math.ceil(window.resets_in(now)))
    return ApiError(429, rate_limit_details(window.announced), headers=headers)


def count_quota(
    window: Window, what: str, now: float, switches: Switches
) -> dict[str, str]:
    """Count one request against a product quota and return the quota headers."""
    window.limit = switches.oauth_quota
    if window.limit is None:
        return {}
    window.advance_to(now)
    over = window.full
    if not over:
        window.used += 1
    prefix = switches.quota_prefix
    headers = {
        f"{prefix}-Limit": str(window.announced),
        f"{prefix}-Remaining": str(window.remaining),
        f"{prefix}-Reset": _rounded(window.resets_in(now), switches),
    }
    if over:
        details = (
            f"You have hit your {what} quota limit of {window.announced} requests. "
            "Please reach out to support@withpersona.com if you need this changed."
        )
        status = switches.quota_status
        raise ApiError(status, details, title="Quota exceeded", headers=headers)
    return headers


def rate_headers(window: Window, now: float, switches: Switches) -> dict[str, str]:
    """Return the three headers of a window; Reset is in seconds from now."""
    return {
        "RateLimit-Limit": str(window.announced),
        "RateLimit-Remaining": str(window.remaining),
        "RateLimit-Reset": _rounded(window.resets_in(now), switches),
    }


def _rounded(seconds: float, switches: Switches) -> str:
    if switches.reset_rounding == "exact":
        return f"{seconds:.3f}"
    up = switches.reset_rounding == "up"
    return str(math.ceil(seconds) if up else math.floor(seconds))


Kind = Literal["sandbox", "production"]
KINDS: Final[tuple[Kind, ...]] = ("sandbox", "production")

#: The prefix of every credential of the sandbox; no credential of Persona has it.
CREDENTIAL_PREFIX: Final = "localbox_"
#: The API version of a key that was given none.
LATEST_VERSION: Final = "2026-09-29"

#: The documented permissions; the list is neither closed nor final.
PERMISSIONS: Final = frozenset(
    {
        "account.read",
        "account.write",
        "account_type.read",
        "api_key.read",
        "api_key.scim",
        "api_key.write",
        "api_log.read",
        "case.read",
        "case.write",
        "case_template.read",
        "document.read",
        "document.write",
        "event.read",
        "filing.write",
        "importer.read",
        "importer.write",
        "inquiry.read",
        "inquiry.write",
        "list.read",
        "list.write",
        "report.read",
        "report.write",
        "txn.read",
        "txn.write",
        "user_audit_log.read",
        "verification.read",
        "verification.write",
        "webhook.read",
        "webhook.write",
        "workflow.trigger",
    }
)


@attrs.define(eq=False)
class Environment:
    """One environment: the owner of objects, keys and a rate limit."""

    id: str
    kind: Kind
    organization_id: str
    window: Window
    quota: Window


@attrs.define(eq=False)
class ApiKey:
    """One API key; no list of permissions means all of them."""

    value: str = attrs.field(repr=False)
    digest: str
    environment: Environment
    permissions: frozenset[str] | None
    own_limit: int | None
    window: Window
    inflection: str
    version: str
    id: str = ""
    created_at: float = 0.0
    last_used_at: float | None = None
    expires_at: float | None = None
    #: Attributes that are stored and returned, but change nothing here.
    settings: dict[str, Any] = attrs.field(factory=dict)

    def allows(self, permission: str) -> bool:
        """Return whether the key has this permission."""
        return self.permissions is None or permission in self.permissions


@attrs.define(eq=False)
class Organization:
    """An organization: its id and its first API key."""

    id: str
    api_key: str = attrs.field(repr=False)
    environments: dict[Kind, Environment] = attrs.field(repr=False)

    @property
    def environment(self) -> Environment:
        """Return the environment of the first key."""
        return self.environments["sandbox"]
