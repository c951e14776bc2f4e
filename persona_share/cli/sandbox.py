"""``persona-share sandbox``: a local Persona on a real socket."""

import asyncio
import contextlib
import json
import signal
import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import rich_click as click
from click.types import StringParamType

from persona_share.cli.exit_codes import fail
from persona_share.errors import PersonaError
from persona_share.sandbox import Limits, Sandbox


class _Lines(StringParamType):
    """Texts of an option that is repeated; its variable has one per line."""

    envvar_list_splitter = "\n"  # type: ignore[mutable-override]


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 for containers and other machines.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    show_default="a free one",
    help="Port to listen on.",
)
@click.option(
    "--public-host",
    metavar="NAME",
    help="Name by which others reach it, such as the service name in Compose.",
)
@click.option(
    "--token-lifetime",
    default=3600,
    show_default=True,
    help="Token lifetime, in seconds.",
)
@click.option(
    "--code-lifetime", default=600, show_default=True, help="Code lifetime, in seconds."
)
@click.option(
    "--rate-limit",
    default=300,
    show_default=True,
    help="Requests per minute and organization; 0 for no limit.",
)
@click.option("--inquiries", default=10, show_default=True, help="Inquiries to create.")
@click.option(
    "--documents",
    is_flag=True,
    help="Give each of these inquiries a document with a file, and a report.",
)
@click.option(
    "--people",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of people: an array, or one object per line, of inquiry fields.",
)
@click.option("--connected", is_flag=True, help="Connect source and destination.")
@click.option(
    "--accept-connections-after",
    type=float,
    metavar="S",
    help="Accept each connection this many seconds after its creation.",
)
@click.option(
    "--switch",
    "switches",
    multiple=True,
    type=_Lines(),
    metavar="NAME=VALUE",
    help="Set an undocumented behavior, such as used_code_status=409.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=_Lines(),
    metavar="OPERATION=KIND[*TIMES]",
    help=(
        "Plan a fault: a status, cut, lose_answer, hang, truncate, real_payload or "
        "delay:SECONDS, such as 'POST /oauth/token=503*2'."
    ),
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    type=_Lines(),
    metavar="NAME=N",
    help="Limit a table, such as log_entries=10000.",
)
@click.option("--source-key", metavar="KEY", help="API key of the source, localbox_….")
@click.option(
    "--destination-key", metavar="KEY", help="API key of the destination, localbox_…."
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of the generated people."
)
@click.option("--open", "opened", is_flag=True, help="Open the inspector in a browser.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, then run."
)
def sandbox(*, opened: bool, as_json: bool, **options: Any) -> None:
    """Run a local Persona with two organizations until interrupted.

    It listens on 127.0.0.1 only unless --host is given. People are invented, and API
    keys are new each time unless given. The inspector at /_sandbox/ shows what happens.
    """
    try:
        local_sandbox = _sandbox(options)
        asyncio.run(_serve(local_sandbox, options, opened=opened, as_json=as_json))
    except (PersonaError, ValueError) as error:
        fail(str(error))


def _sandbox(options: dict[str, Any]) -> Sandbox:
    limits = {name: int(value) for name, value in _pairs("--limit", options["limits"])}
    try:
        bounds = Limits(**limits)
    except TypeError:
        message = f"--limit: there is no such table in {', '.join(limits)}"
        raise click.UsageError(message) from None
    return Sandbox(
        host=options["host"],
        listen_anywhere=options["host"] != "127.0.0.1",
        public_host=options["public_host"],
        port=options["port"],
        token_lifetime=options["token_lifetime"],
        code_lifetime=options["code_lifetime"],
        rate_limit=options["rate_limit"] or None,
        source_key=options["source_key"],
        destination_key=options["destination_key"],
        seed=options["seed"],
        limits=bounds,
    )


async def _serve(
    local_sandbox: Sandbox, options: dict[str, Any], *, opened: bool, as_json: bool
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stopped.set)
    async with local_sandbox:
        _prepare(local_sandbox, options)
        facts = local_sandbox.describe()
        if as_json:
            click.echo(json.dumps(facts))
        else:
            _print_facts(facts)
        if opened:
            webbrowser.open(local_sandbox.inspector_url)
        await stopped.wait()


def _prepare(local_sandbox: Sandbox, options: dict[str, Any]) -> None:
    """Fill a sandbox as the options say."""
    local_sandbox.populate(options["inquiries"], documents=options["documents"])
    if options["people"] is not None:
        for person in _people(options["people"]):
            local_sandbox.add_person(**person)
    if options["accept_connections_after"] is not None:
        local_sandbox.switches.accepts_after = options["accept_connections_after"]
    if options["connected"]:
        local_sandbox.connect()
    for name, value in _pairs("--switch", options["switches"]):
        local_sandbox.set_switch(name, value)
    for operation, kind in _pairs("--fault", options["faults"]):
        local_sandbox.plan_fault(operation, kind)


def _pairs(option: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name:
            message = f"{option} takes NAME=VALUE, not {text!r}"
            raise click.UsageError(message)
        found.append((name.strip(), value.strip()))
    return found


def _people(path: Path) -> list[dict[str, Any]]:
    """Return the people of a JSON file: an array, or one object per line."""
    text = path.read_text("utf-8")
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = _lines(path, text)
    people = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in people):
        message = f"{path} must hold JSON objects with the fields of one person each"
        raise click.UsageError(message)
    return people


def _lines(path: Path, text: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                message = f"{path}, line {number}: this is not JSON"
                raise click.UsageError(message) from None
    return found


def _print_facts(facts: dict[str, object]) -> None:
    source, destination = facts["source"], facts["destination"]
    click.echo(f"url          {facts['url']}")
    for name, side in (("source", source), ("destination", destination)):
        if isinstance(side, dict):
            click.echo(f"{name:<12} {side['id']}  API key {side['api_key']}")
    click.echo(f"inspector    {facts['inspector_url']}")
    click.echo("Press Ctrl-C to stop.")
