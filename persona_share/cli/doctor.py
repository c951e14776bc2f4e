"""``persona-share doctor``: what is wrong, and what to do about it."""

import os
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import attrs
import rich_click as click
from rich.console import Console

from persona_share import Secret
from persona_share.cli.client_options import ClientOptions, with_client_options
from persona_share.cli.exit_codes import OK, OTHER, exit_code_of, fail, print_json, run
from persona_share.cli.store import store_at
from persona_share.integrations.health import Finding, diagnose
from persona_share.partner import PartnerCodeSource


#: The first release that the tests of this library pass on.
_UVLOOP: Final = (0, 23)
_PARTNER_URL: Final = "PERSONA_PARTNER_URL"
_MARK: Final = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


@click.command()
@click.option(
    "--store",
    metavar="URL",
    help="Store to check: a file or a URL; default: PERSONA_STORE.",
)
@with_client_options
def doctor(options: ClientOptions, store: str | None) -> None:
    """Check the API key, clock, OAuth, rate limit, store and partner.

    The partner is checked if PERSONA_PARTNER_URL is set. The check of OAuth sends an
    invalid code, so it changes nothing and uses no code.
    """
    if store is not None and "@" in store:
        message = "Pass a URL with a password in PERSONA_STORE."
        fail(message)
    place = store or os.environ.get("PERSONA_STORE")
    run(_doctor(options, place), as_json=options.as_json)


async def _doctor(options: ClientOptions, store: str | None) -> int:
    key = options.key()
    findings = [_kind(key), _event_loop()]
    async with options.client(key) as client, AsyncExitStack() as stack:
        opened = None
        if store is not None:  # a file is made, a table is not
            opened = store_at(store, create="://" not in store)
        partner = _partner()
        if partner is not None:
            await stack.enter_async_context(partner)
        findings += await diagnose(client, store=opened, partner=partner)
    worst = next((_exit_code(each) for each in findings if each.state == "bad"), OK)
    if options.as_json:
        shown = [
            attrs.asdict(each, filter=lambda field, _: field.name != "error")
            for each in findings
        ]
        print_json({"healthy": worst == OK, "findings": shown, "exit_code": worst})
        return worst
    console = Console(highlight=False, soft_wrap=True)
    for each in findings:
        console.print(f"{_MARK[each.state]} ", end="")
        advice = f" — {each.advice}" if each.advice else ""
        console.print(f"{each.name}: {each.what}{advice}", markup=False)
    return worst


def _kind(key: Secret) -> Finding:
    text = key.reveal()
    for start, kind in (
        ("persona_production_", "a production key"),
        ("persona_sandbox_", "a key of Persona's sandbox environment"),
        ("localbox_", "a key of the local sandbox"),
    ):
        if text.startswith(start):
            return Finding("key", "ok", kind)
    advice = "An API key begins with persona_production_ or persona_sandbox_."
    return Finding("key", "warning", "of an unknown kind", advice)


def _event_loop() -> Finding:
    try:
        found = version("uvloop")
    except PackageNotFoundError:
        return Finding("event loop", "ok", "asyncio's own; uvloop is not installed")
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < _UVLOOP:
        advice = f"Upgrade to {'.'.join(map(str, _UVLOOP))} or uninstall it."
        return Finding("event loop", "warning", f"uvloop {found} is too old", advice)
    return Finding("event loop", "ok", f"uvloop {found} is installed")


def _exit_code(finding: Finding) -> int:
    return OTHER if finding.error is None else exit_code_of(finding.error)


def _partner() -> PartnerCodeSource | None:
    return PartnerCodeSource.from_env() if os.environ.get(_PARTNER_URL) else None
