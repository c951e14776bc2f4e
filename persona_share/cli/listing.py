"""``persona-share list``: ids of objects, to be fetched or copied."""

from datetime import UTC, datetime
from typing import Any

import rich_click as click

from persona_share.cli.client_options import ClientOptions, with_client_options
from persona_share.cli.exit_codes import print_json, printable, run


_TIME = click.DateTime(
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"]
)


@click.group("list")
def list_() -> None:
    """List ids of the organization's own objects, one a line."""


@list_.command(
    epilog="Example: persona-share list inquiries --status approved > ids.txt"
)
@click.option("--status", help="Only with this status.")
@click.option("--created-after", "created_at_start", type=_TIME, help="UTC, ISO 8601.")
@click.option("--created-before", "created_at_end", type=_TIME, help="UTC, ISO 8601.")
@click.option("--account-id", help="Only of this account.")
@click.option("--reference-id", help="Only with this reference id.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many.")
@with_client_options
def inquiries(options: ClientOptions, limit: int | None, **filters: Any) -> None:
    """List the ids of inquiries, newest first."""
    run(_list(options, limit, filters), as_json=options.as_json)


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


async def _list(
    options: ClientOptions, limit: int | None, filters: dict[str, Any]
) -> None:
    named = {key: _in_utc(value) for key, value in filters.items() if value}
    found: list[str] = []
    async with options.client() as client:
        async for each in client.inquiries.list(**named):
            found.append(each.id)
            if not options.as_json:
                click.echo(printable(each.id))
            if limit is not None and len(found) >= limit:
                break
    if options.as_json:
        print_json({"ids": found})
