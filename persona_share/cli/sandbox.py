"""``persona-share sandbox``: a local Persona on a real socket."""

import asyncio
import json
import signal

import rich_click as click

from persona_share.errors import PersonaError
from persona_share.sandbox import Sandbox


@click.command()
@click.option("--port", default=0, show_default="a free one", help="Port to listen on.")
@click.option(
    "--token-lifetime", default=3600, show_default=True, help="Life of a token, in s."
)
@click.option(
    "--code-lifetime", default=600, show_default=True, help="Life of a code, in s."
)
@click.option(
    "--rate-limit", default=300, show_default=True, help="Requests a minute, each side."
)
@click.option(
    "--inquiries", default=10, show_default=True, help="Inquiries to make up."
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of the made-up people."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, then run."
)
def sandbox(  # noqa: PLR0917  # click passes options by name
    port: int,
    token_lifetime: int,
    code_lifetime: int,
    rate_limit: int,
    inquiries: int,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Run a local Persona with two organizations until interrupted.

    It listens on 127.0.0.1 only, its people are made up and its keys are new each time.
    """
    box = Sandbox(
        port=port,
        token_lifetime=token_lifetime,
        code_lifetime=code_lifetime,
        rate_limit=rate_limit,
        seed=seed,
    )
    try:
        asyncio.run(_serve(box, inquiries, as_json=as_json))
    except PersonaError as error:
        raise click.ClickException(str(error)) from None


async def _serve(box: Sandbox, inquiries: int, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with box:
        box.populate(inquiries)
        facts = box.describe()
        if as_json:
            click.echo(json.dumps(facts))
        else:
            _print_facts(facts)
        await stopped.wait()


def _print_facts(facts: dict[str, object]) -> None:
    source, destination = facts["source"], facts["destination"]
    click.echo(f"url          {facts['url']}")
    for name, side in (("source", source), ("destination", destination)):
        if isinstance(side, dict):
            click.echo(f"{name:<12} {side['id']}  API key {side['api_key']}")
    click.echo("Press Ctrl-C to stop.")
