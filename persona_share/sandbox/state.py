"""Everything that the handlers share."""

from collections.abc import Collection

import attrs

from persona_share.sandbox.agenda import Agenda
from persona_share.sandbox.faults import Faults
from persona_share.sandbox.files import Files
from persona_share.sandbox.grants import Grants
from persona_share.sandbox.log import Log
from persona_share.sandbox.organizations import ApiKey, Environment, Organization
from persona_share.sandbox.records import Records
from persona_share.sandbox.rendering import Rendering
from persona_share.sandbox.sharing import Sharing
from persona_share.sandbox.switches import Switches
from persona_share.sandbox.webhooks import Webhooks
from persona_share.sandbox.world import World


#: What every path begins with.
PREFIX = "/api/v1"


@attrs.define(eq=False)
class OAuthClient:
    """A machine that proves itself with a signed assertion."""

    id: str
    public_key: str = attrs.field(repr=False)
    permissions: tuple[str, ...]
    environment: Environment
    #: Each assertion's ``jti`` and when it may be forgotten.
    seen: dict[str, float] = attrs.field(factory=dict, repr=False)


@attrs.define(eq=False, kw_only=True)
class State:
    """One running sandbox, seen from the inside."""

    world: World
    switches: Switches
    log: Log
    faults: Faults
    grants: Grants
    records: Records
    rendering: Rendering
    files: Files
    sharing: Sharing
    webhooks: Webhooks
    agenda: Agenda
    token_lifetime: float
    code_lifetime: float
    rate_limit: int | None
    latency: float = 0.0
    #: The base URL, known once the socket is bound.
    url: str = ""
    organizations: dict[str, Organization] = attrs.field(factory=dict)
    keys: dict[str, ApiKey] = attrs.field(factory=dict, repr=False)
    clients: dict[str, OAuthClient] = attrs.field(factory=dict)


def new_state(
    world: World,
    *,
    operations: Collection[str],
    token_lifetime: float,
    code_lifetime: float,
    rate_limit: int | None,
    latency: float,
) -> State:
    """Put an empty sandbox together."""
    switches = Switches()
    records = Records(switches)
    files = Files(world, switches)
    return State(
        world=world,
        switches=switches,
        log=Log(world.digest),
        faults=Faults(operations),
        grants=Grants(world),
        records=records,
        rendering=Rendering(records, files, switches),
        files=files,
        sharing=Sharing(),
        webhooks=Webhooks(world),
        agenda=Agenda(),
        token_lifetime=token_lifetime,
        code_lifetime=code_lifetime,
        rate_limit=rate_limit,
        latency=latency,
    )
