"""Organizations, their environments and their API keys."""

from typing import Literal

import attrs

from persona_share.sandbox.limits import Window


Kind = Literal["sandbox", "production"]


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

    def allows(self, permission: str) -> bool:
        """Answer whether the key has this permission."""
        return self.permissions is None or permission in self.permissions


@attrs.define(eq=False)
class Organization:
    """What a test is handed of an organization: its id and its first API key."""

    id: str
    api_key: str = attrs.field(repr=False)
    environments: dict[Kind, Environment] = attrs.field(repr=False)

    @property
    def environment(self) -> Environment:
        """Answer the environment that the first key belongs to."""
        return self.environments["sandbox"]
