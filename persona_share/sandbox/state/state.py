"""The state of a running sandbox, which all handlers share."""

from collections.abc import Collection, Sequence

import attrs

from persona_share.errors import ConfigurationError
from persona_share.sandbox.behavior.faults import Faults
from persona_share.sandbox.behavior.switches import Limits, Switches
from persona_share.sandbox.runtime import Runtime, Scheduler
from persona_share.sandbox.state.grants import Grants
from persona_share.sandbox.state.organizations import (
    CREDENTIAL_PREFIX,
    KINDS,
    LATEST_VERSION,
    ApiKey,
    Environment,
    Kind,
    Organization,
    Window,
)
from persona_share.sandbox.state.records import Files, Record, Records, Sharing
from persona_share.sandbox.state.requests import Exchanges, Log
from persona_share.sandbox.state.webhooks import Webhooks


#: The prefix of every API path.
PREFIX = "/api/v1"


@attrs.define(eq=False)
class OAuthClient:
    """A client of the client-credentials grant, known by its public key."""

    id: str
    public_key: str = attrs.field(repr=False)
    permissions: tuple[str, ...]
    environment: Environment
    #: The ``jti`` of each assertion and when it may be forgotten.
    seen: dict[str, float] = attrs.field(factory=dict, repr=False)


@attrs.define(eq=False, kw_only=True)
class State:
    """One running sandbox."""

    runtime: Runtime
    switches: Switches
    log: Log
    faults: Faults
    grants: Grants
    records: Records
    files: Files
    sharing: Sharing
    webhooks: Webhooks
    scheduler: Scheduler
    limits: Limits
    exchanges: Exchanges
    token_lifetime: float
    code_lifetime: float
    rate_limit: int | None
    latency: float = 0.0
    #: The base URL, known once the socket is bound.
    url: str = ""
    organizations: dict[str, Organization] = attrs.field(factory=dict)
    keys: dict[str, ApiKey] = attrs.field(factory=dict, repr=False)
    clients: dict[str, OAuthClient] = attrs.field(factory=dict)
    #: The default template or type of each environment, by its id and the family.
    defaults: dict[tuple[str, str], Record] = attrs.field(factory=dict)

    def reset(self) -> None:
        """Drop everything but organizations, API keys, OAuth clients and the clock."""
        self.records.clear()
        self.defaults.clear()
        self.grants.clear()
        self.files.clear()
        self.sharing.clear()
        self.webhooks.clear()
        self.scheduler.clear()
        self.exchanges.clear()
        self.log.clear()
        self.faults.clear()
        self.faults.release()
        for field in attrs.fields(Switches):
            setattr(self.switches, field.name, field.default)

    def add_organization(self, name: str, api_key: str | None = None) -> Organization:
        """Create an organization with both environments and one API key."""
        organization_id = self.runtime.new_id("org")
        environments: dict[Kind, Environment] = {
            kind: Environment(
                id=self.runtime.new_id("env"),
                kind=kind,
                organization_id=organization_id,
                window=Window(self.rate_limit),
                quota=Window(None),
            )
            for kind in KINDS
        }
        key = self.add_api_key(environments["sandbox"], name=name, value=api_key)
        organization = Organization(organization_id, key.value, environments)
        self.organizations[organization_id] = organization
        return organization

    def add_api_key(
        self,
        environment: Environment,
        *,
        name: str = "key",
        permissions: Sequence[str] | None = None,
        rate_limit: int | None = None,
        inflection: str = "kebab",
        version: str | None = None,
        value: str | None = None,
    ) -> ApiKey:
        """Create an API key with an unpredictable value, unless one is given.

        Raises:
            ConfigurationError: for a value without the prefix of the sandbox.
        """
        if value is None:
            value = self.runtime.new_secret(f"{CREDENTIAL_PREFIX}{name}_", 32)
        elif not value.startswith(CREDENTIAL_PREFIX) or value in self.keys:
            message = (
                f"an API key of the sandbox begins with {CREDENTIAL_PREFIX} and is "
                "not the key of another organization"
            )
            raise ConfigurationError(message)
        key = ApiKey(
            value=value,
            digest=self.runtime.digest(value),
            environment=environment,
            permissions=None if permissions is None else frozenset(permissions),
            own_limit=rate_limit,
            window=Window(rate_limit),
            inflection=inflection,
            version=version or LATEST_VERSION,
            id=self.runtime.new_id("api"),
            created_at=self.runtime.now(),
            settings={"name": name},
        )
        self.keys[value] = key
        if len(self.keys) > self.limits.credentials:
            kept = {value, *(each.api_key for each in self.organizations.values())}
            oldest = next((each for each in self.keys if each not in kept), None)
            self.keys.pop(oldest or "", None)
        return key


def new_state(
    runtime: Runtime,
    *,
    operations: Collection[str],
    token_lifetime: float,
    code_lifetime: float,
    rate_limit: int | None,
    latency: float,
    limits: Limits,
) -> State:
    """Return the state of an empty sandbox."""
    switches = Switches()
    return State(
        runtime=runtime,
        switches=switches,
        log=Log(runtime.digest, limits.log_entries),
        faults=Faults(operations),
        grants=Grants(runtime, limits.credentials),
        records=Records(switches, limits),
        files=Files(runtime, switches, limits.file_bytes),
        sharing=Sharing(limits.share_tokens),
        webhooks=Webhooks(runtime, limits.events),
        scheduler=Scheduler(),
        limits=limits,
        exchanges=Exchanges(limits.inspected_requests),
        token_lifetime=token_lifetime,
        code_lifetime=code_lifetime,
        rate_limit=rate_limit,
        latency=latency,
    )
