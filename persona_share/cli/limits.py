"""``persona-share limits``: the rate limits as they stand."""

import rich_click as click
from rich.console import Console
from rich.table import Table

from persona_share.cli.access import Access, with_access
from persona_share.cli.ending import plain, run, say


@click.command()
@with_access
def limits(access: Access) -> None:
    """Show the rate limits that this API key counts against."""
    run(_limits(access), as_json=access.as_json)


async def _limits(access: Access) -> None:
    async with access.client() as client:
        found = [
            {
                "type": each.type,
                "limit": each.limit,
                "remaining": each.remaining,
                "seconds_to_reset": each.seconds_to_reset,
            }
            async for each in client.rate_limits.list()
        ]
    if access.as_json:
        say({"limits": found})
        return
    table = Table("limit", "a minute", "left", "resets in")
    for each in found:
        seconds = each["seconds_to_reset"]
        reset = "-" if seconds is None else f"{seconds} s"
        table.add_row(
            plain(each["type"]), str(each["limit"]), str(each["remaining"]), reset
        )
    Console().print(table)
