"""Organizations, their environments and their API keys."""

from typing import Any, Final, Literal

import attrs

from persona_share.sandbox.state.rate_limits import Window


Kind = Literal["sandbox", "production"]
KINDS: Final[tuple[Kind, ...]] = ("sandbox", "production")

#: The prefix of every credential of the sandbox; no credential of Persona has it.
CREDENTIAL_PREFIX: Final = "localbox_"
#: The API version of a key that was given none.
LATEST_VERSION: Final = "2025-12-08"

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
