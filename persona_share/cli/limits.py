"""``persona-share limits``: the rate limits as they stand."""

import rich_click as click

from persona_share.cli.client_options import ClientOptions, with_client_options
from persona_share.cli.exit_codes import print_json, run, show_table


@click.command()
@with_client_options
def limits(options: ClientOptions) -> None:
    """Show the rate limits of this API key."""
    run(_limits(options), as_json=options.as_json)


async def _limits(options: ClientOptions) -> None:
    async with options.client() as client:
        found = [
            {
                "type": each.type,
                "limit": each.limit,
                "remaining": each.remaining,
                "seconds_to_reset": each.seconds_to_reset,
            }
            async for each in client.rate_limits.list()
        ]
    if options.as_json:
        print_json({"limits": found})
        return
    rows = []
    for each in found:
        seconds = each["seconds_to_reset"]
        reset = "-" if seconds is None else f"{seconds} s"
        rows.append([each["type"], each["limit"], each["remaining"], reset])
    show_table(("limit", "per minute", "left", "resets in"), rows)
