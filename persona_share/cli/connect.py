"""``connections`` and ``share-tokens``: share objects over Persona Connect."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import rich_click as click

from persona_share import PersonaClient
from persona_share.cli.exit_codes import print_json, printable, run, show_table
from persona_share.cli.options import ClientOptions, with_client_options
from persona_share.model.connection import Connection
from persona_share.model.resource import Resource
from persona_share.model.share_token import ShareToken


Call = Callable[[PersonaClient], Awaitable[Resource]]
#: A century; Python has no dates after the year 9999.
_MAX_SECONDS: Final = 36_500 * 24 * 3600


@click.group()
def connections() -> None:
    """Manage the connections to other organizations."""


@connections.command("list")
@click.option(
    "--status", help="Only connections with this status: pending, active, inactive."
)
@with_client_options
def list_connections(options: ClientOptions, status: str | None) -> None:
    """List connections in both directions, newest first."""
    run(_list(options, "connections", status=status), as_json=options.as_json)


@connections.command("create")
@click.argument("organization_id")
@with_client_options
def create_connection(options: ClientOptions, organization_id: str) -> None:
    """Request a connection to an organization, org_…, which must accept it."""
    _run_one(
        options,
        lambda client: client.connections.create(
            destination_organization_id=organization_id
        ),
    )


@connections.command("get")
@click.argument("connection_id")
@with_client_options
def get_connection(options: ClientOptions, connection_id: str) -> None:
    """Show one connection."""
    _run_one(options, lambda client: client.connections.retrieve(connection_id))


@connections.command("deactivate")
@click.argument("connection_id")
@with_client_options
def deactivate_connection(options: ClientOptions, connection_id: str) -> None:
    """Deactivate a connection; either organization may."""
    _run_one(options, lambda client: client.connections.deactivate(connection_id))


@click.group("share-tokens")
def share_tokens() -> None:
    """Share single objects over a connection."""


@share_tokens.command("list")
@click.option(
    "--connection", "connection_id", help="Only share tokens of this connection."
)
@click.option(
    "--status",
    help="Only share tokens with this status: created, pending, redeemed, expired,"
    " failed.",
)
@click.option(
    "--direction",
    type=click.Choice(["inbound", "outbound"]),
    help="Only share tokens in this direction.",
)
@with_client_options
def list_share_tokens(options: ClientOptions, **conditions: Any) -> None:
    """List share tokens in both directions, newest first."""
    run(_list(options, "share_tokens", **conditions), as_json=options.as_json)


@share_tokens.command("create")
@click.argument("source_id")
@click.option(
    "--connection",
    "connection_id",
    required=True,
    help="Connection to share over.",
)
@click.option(
    "--expires-in",
    type=click.IntRange(max=_MAX_SECONDS),
    help="Lifetime in seconds; 14 days by default.",
)
@with_client_options
def create_share_token(
    options: ClientOptions, source_id: str, connection_id: str, expires_in: int | None
) -> None:
    """Create a share token for an account, inquiry, transaction or verification."""
    life = None if expires_in is None else timedelta(seconds=expires_in)
    _run_one(
        options,
        lambda client: client.share_tokens.create(
            connection_id=connection_id, source_id=source_id, expires_in=life
        ),
    )


@share_tokens.command("get")
@click.argument("share_token_id")
@with_client_options
def get_share_token(options: ClientOptions, share_token_id: str) -> None:
    """Show one share token."""
    _run_one(options, lambda client: client.share_tokens.retrieve(share_token_id))


@share_tokens.command("redeem")
@click.argument("share_token_id")
@click.option(
    "--into", "destination_id", help="Object to fill; without it, a new one is created."
)
@click.option("--wait", default=0.0, help="Time to wait for the result, in seconds.")
@with_client_options
def redeem_share_token(
    options: ClientOptions, share_token_id: str, destination_id: str | None, wait: float
) -> None:
    """Redeem a share token for this organization."""

    async def redeem(client: PersonaClient) -> Resource:
        """Redeem the token, and wait for the result if requested."""
        tokens = client.share_tokens
        token = await tokens.redeem(share_token_id, destination_id=destination_id)
        if wait > 0:
            return (await tokens.wait(share_token_id, timeout=wait)).token
        return token

    _run_one(options, redeem)


@share_tokens.command("expire")
@click.argument("share_token_id")
@with_client_options
def expire_share_token(options: ClientOptions, share_token_id: str) -> None:
    """Expire a share token that was not redeemed."""
    _run_one(options, lambda client: client.share_tokens.expire(share_token_id))


def _run_one(options: ClientOptions, call: Call) -> None:
    async def work() -> None:
        async with options.client() as client:
            _show([_facts(await call(client))], options, one=True)

    run(work(), as_json=options.as_json)


async def _list(options: ClientOptions, name: str, **conditions: Any) -> None:
    given = {key: value for key, value in conditions.items() if value is not None}
    async with options.client() as client:
        listing = getattr(client, name).list(**given)
        _show([_facts(each) async for each in listing], options, one=False)


def _facts(found: Resource) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": found.id, "type": found.type}
    if isinstance(found, Connection):
        facts |= {
            "status": found.status,
            "source_organization_id": found.source_organization_id,
            "destination_organization_id": found.destination_organization_id,
        }
    if isinstance(found, ShareToken):
        facts |= {
            "status": found.status,
            "connection_id": found.connection_id,
            "source_id": found.source_id,
            "destination_id": found.destination_id,
            "expires_at": found.expires_at,
        }
    return {key: None if value is None else str(value) for key, value in facts.items()}


def _show(found: list[dict[str, Any]], options: ClientOptions, *, one: bool) -> None:
    if options.as_json:
        print_json(found[0] if one else {"items": found})
        return
    if one:
        for key, value in found[0].items():
            click.echo(f"{key}: {'' if value is None else printable(value)}")
        return
    header = list(dict.fromkeys(key for facts in found for key in facts))
    rows = [
        ["" if facts.get(key) is None else facts[key] for key in header]
        for facts in found
    ]
    if header:
        show_table(header, rows)
    else:
        click.echo("none")
