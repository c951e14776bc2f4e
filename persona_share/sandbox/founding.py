"""Founding organizations and cutting API keys."""

from collections.abc import Sequence
from typing import Final

from persona_share.sandbox.inflection import checked_inflection
from persona_share.sandbox.limits import Window
from persona_share.sandbox.organizations import (
    ApiKey,
    Environment,
    Kind,
    Organization,
)
from persona_share.sandbox.state import State
from persona_share.sandbox.versions import NEWEST


#: The mark of everything that is a credential here and nowhere else.
MARK: Final = "localbox_"
_KINDS: Final[tuple[Kind, ...]] = ("sandbox", "production")


def found_organization(state: State, name: str) -> Organization:
    """Found an organization with both environments and one API key."""
    organization_id = state.world.new_id("org")
    environments: dict[Kind, Environment] = {
        kind: _environment(state, organization_id, kind) for kind in _KINDS
    }
    key = new_key(state, environments["sandbox"], name=name)
    organization = Organization(organization_id, key.value, environments)
    state.organizations[organization_id] = organization
    return organization


def new_key(
    state: State,
    environment: Environment,
    *,
    name: str = "key",
    permissions: Sequence[str] | None = None,
    rate_limit: int | None = None,
    inflection: str = "kebab",
    version: str | None = None,
) -> ApiKey:
    """Cut an API key; nobody can guess it, whatever the seed."""
    value = state.world.new_secret(f"{MARK}{name}_", 32)
    key = ApiKey(
        value=value,
        digest=state.world.digest(value),
        environment=environment,
        permissions=None if permissions is None else frozenset(permissions),
        own_limit=rate_limit,
        window=Window(rate_limit),
        inflection=checked_inflection(inflection),
        version=version or NEWEST,
    )
    state.keys[value] = key
    return key


def _environment(state: State, organization_id: str, kind: Kind) -> Environment:
    return Environment(
        id=state.world.new_id("env"),
        kind=kind,
        organization_id=organization_id,
        window=Window(state.rate_limit),
        quota=Window(None),
    )
