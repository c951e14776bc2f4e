"""``doctor``, ``limits`` and ``webhook``: check settings, limits and deliveries."""

import os
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import attrs
import rich_click as click

from persona_share import Secret
from persona_share.cli.console import Output
from persona_share.cli.exit_codes import (
    OK,
    OTHER,
    exit_code_of,
    fail,
    print_json,
    run,
    show_table,
    standard_input,
)
from persona_share.cli.options import (
    ClientOptions,
    read_secret,
    with_client_options,
    with_json,
)
from persona_share.cli.store import absent_file, store_at, with_store
from persona_share.integrations.health import Finding, diagnose
from persona_share.partner import PartnerCodeSource
from persona_share.webhooks import TOLERANCE, Verifier


#: The first release that the tests of this library pass on.
_UVLOOP: Final = (0, 23)
_PARTNER_URL: Final = "PERSONA_PARTNER_URL"
_WEBHOOK_SECRET: Final = "PERSONA_WEBHOOK_SECRET"  # noqa: S105  # a name, no secret
_MARK: Final = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


# ── doctor ──────────────────────────────────────────────────────────────────────


@click.command()
@with_store
@with_client_options
def doctor(options: ClientOptions, store: str | None) -> None:
    """Check the key, the clock, OAuth, the rate limits, the store and the partner.

    The partner is asked if PERSONA_PARTNER_URL is set. To find out whether OAuth is
    enabled, an invalid code is sent; nothing is changed and no code is used.
    """
    run(_doctor(options, store), as_json=options.as_json)


async def _doctor(options: ClientOptions, store: str | None) -> int:
    key = options.key()
    findings = [_kind(key), _event_loop()]
    async with options.client(key) as client, AsyncExitStack() as stack:
        opened = None
        if store is not None and (absent := absent_file(store)):
            findings.append(_no_file(absent))
        elif store is not None:
            opened = store_at(store)
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
    console = Output(highlight=False, soft_wrap=True)
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


def _no_file(path: Path) -> Finding:
    advice = "Check the path; a manager or `persona-share store init` creates the file."
    return Finding("store", "warning", f"there is no file {path}", advice)


def _exit_code(finding: Finding) -> int:
    return OTHER if finding.error is None else exit_code_of(finding.error)


def _partner() -> PartnerCodeSource | None:
    return PartnerCodeSource.from_env() if os.environ.get(_PARTNER_URL) else None


# ── limits ──────────────────────────────────────────────────────────────────────


@click.command()
@with_client_options
def limits(options: ClientOptions) -> None:
    """Show the rate limits of this API key."""
    run(_limits(options), as_json=options.as_json)


async def _limits(options: ClientOptions) -> None:
    names = ("type", "limit", "remaining", "seconds_to_reset")
    async with options.client() as client:
        found = [
            {name: getattr(each, name) for name in names}
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


# ── webhook ─────────────────────────────────────────────────────────────────────


@click.group()
def webhook() -> None:
    """Check deliveries of webhooks."""


@webhook.command(
    epilog="Example: persona-share webhook verify --signature 't=…,v1=…' body.json"
)
@click.argument("body", metavar="[FILE]", default="-")
@click.option(
    "--signature", required=True, help="The header Persona-Signature, unchanged."
)
@click.option(
    "--secret-file",
    metavar="FILE",
    help=f"File with the webhook's secret; without it, {_WEBHOOK_SECRET} is read.",
)
@click.option(
    "--tolerance",
    default=TOLERANCE,
    show_default=True,
    help="Maximum age of a delivery, in seconds.",
)
@with_json
def verify(
    body: str,
    signature: str,
    secret_file: str | None,
    tolerance: float,
    *,
    as_json: bool,
) -> None:
    """Check the signature of a body in FILE, byte for byte; - reads standard input."""
    named = secret_file or os.environ.get(_WEBHOOK_SECRET)
    if body == "-" and (secret_file == "-" or not named):  # noqa: S105  # a name, no secret
        fail("The body comes from stdin, so the secret needs a file or a variable.")
    secret = read_secret(
        "webhook secret", secret_file, "--secret-file", _WEBHOOK_SECRET
    )

    async def work() -> None:
        """Verify the delivery and print its event."""
        content = _content(body)
        event = Verifier(secret, tolerance).verify(content, signature)
        if as_json:
            print_json({"valid": True, "id": event.id, "name": event.name})
        else:
            click.echo(f"valid: {event.name} {event.id}")

    run(work(), as_json=as_json)


def _content(body: str) -> bytes:
    return standard_input().buffer.read() if body == "-" else Path(body).read_bytes()
