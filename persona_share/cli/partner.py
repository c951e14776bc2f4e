"""``persona-share partner``: give codes to partners, and manage keys and consents."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import rich_click as click

from persona_share import Scope
from persona_share.cli.exit_codes import counted, fail, print_json, run
from persona_share.cli.options import (
    ClientOptions,
    with_client_options,
    with_json,
    write_secret,
)
from persona_share.cli.store import required, store_at, with_store
from persona_share.partner import (
    AuditLog,
    CodeIssuer,
    Consents,
    PartnerCodeSource,
    SigningKey,
    load_agreements,
    openapi as openapi_document,
)
from persona_share.partner.applications import listening, warning_about_port
from persona_share.partner.keys import ALGORITHMS


#: A century; later dates are mistakes, and after the year 9999 there are none.
_MAX_DAYS: Final = 36_500


@click.group()
def partner() -> None:
    """Give authorization codes to partner organizations, or request them.

    The source organization runs `serve` and records consents. The destination checks
    its key with `check`. Both create their keys with `keygen`.
    """


# ── Keys ────────────────────────────────────────────────────────────────────────


@partner.command(
    epilog="Example: persona-share partner keygen --key-file partner.key > partner.json"
)
@click.option(
    "--key-file",
    metavar="FILE",
    required=True,
    help="New file for the private key, with mode 0600.",
)
@click.option(
    "--algorithm",
    type=click.Choice(sorted(ALGORITHMS)),
    default="ES256",
    show_default=True,
    help="Algorithm of the signatures.",
)
def keygen(key_file: str, algorithm: str) -> None:
    """Create a key pair, and print the public key for the other organization."""
    key = SigningKey.generate(algorithm)
    write_secret(key_file, key.private_jwk())
    click.echo(json.dumps(key.public_jwk))


@partner.command()
def openapi() -> None:
    """Print the OpenAPI document of the protocol."""
    click.echo(json.dumps(openapi_document(), indent=2))


# ── The service ─────────────────────────────────────────────────────────────────


def _service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--agreements",
            metavar="FILE",
            required=True,
            help="TOML file with the agreements.",
        ),
        click.option(
            "--audit",
            metavar="FILE",
            required=True,
            help="File to append every decision to.",
        ),
        with_store,
    ):
        command = option(command)
    return command


@partner.command(
    epilog=(
        "Example: persona-share partner serve --agreements agreements.toml "
        "--store partner.db --audit audit.jsonl --url https://share.example/codes"
    )
)
@_service_options
@click.option(
    "--url",
    metavar="URL",
    required=True,
    help="Public address of this service, as partners sign it.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8480,
    show_default=True,
    help="Port to listen on; 0 for a free one.",
)
@with_client_options
def serve(options: ClientOptions, **given: Any) -> None:
    """Serve partners until interrupted: POST …/codes.

    It serves plain http: put a proxy with TLS in front of it. Several processes may share
    one store and one audit log.
    """
    run(_serve(options, **given), as_json=options.as_json)


async def _serve(
    options: ClientOptions, *, url: str, host: str, port: int, **given: Any
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    issuer = _issuer(options, url=url, **given)
    async with listening(issuer.aiohttp(), host, port) as address:
        if (warning := warning_about_port(url, address)) is not None:
            click.echo(warning, err=True)
        if options.as_json:
            print_json({"listening": f"{address}/codes", "url": url})
        else:
            click.echo(f"listening on {address}/codes for {url}; Ctrl-C stops.")
        sys.stdout.flush()
        await stopped.wait()


def _issuer(
    options: ClientOptions,
    *,
    agreements: str,
    audit: str,
    store: str | None,
    url: str | None = None,
) -> CodeIssuer:
    shared = store_at(required(store))
    return CodeIssuer(
        options.client(), agreements=agreements, audit=audit, store=shared, url=url
    )


@partner.command(
    epilog=(
        "Example: persona-share partner check --url https://share.example/codes "
        "--client-id org_… --key-file partner.key"
    )
)
@click.option("--url", metavar="URL", help="Address of the partner's service.")
@click.option("--client-id", help="This organization's id, org_….")
@click.option("--key-file", metavar="FILE", help="This organization's private key.")
@click.option("--agreements", metavar="FILE", help="Check the agreements of a service.")
@click.option(
    "--audit", metavar="FILE", help="Check whether this audit log can be written."
)
@with_store
@with_json
def check(*, as_json: bool, **given: Any) -> None:
    """Check the settings of either side; no code is created.

    With --url: whether the partner accepts this organization's key. With --agreements,
    --audit and --store: whether a service could start with them.
    """
    if not any(given.values()):
        fail("Pass what to check: --url, or --agreements, --audit and --store.")
    if given["url"] and not (given["client_id"] and given["key_file"]):
        fail("--url needs --client-id and --key-file.")
    run(_check(as_json=as_json, **given), as_json=as_json)


async def _check(
    *,
    as_json: bool,
    url: str | None,
    client_id: str | None,
    key_file: str | None,
    agreements: str | None,
    audit: str | None,
    store: str | None,
) -> None:
    found: dict[str, object] = {}
    if agreements is not None:
        now = datetime.now(UTC)  # noqa: TID251  # the dates are compared to this clock
        read = load_agreements(agreements)
        valid = [each for each in read if each.valid_from <= now < each.valid_until]
        found["agreements"] = f"{len(read)}, {len(valid)} of them valid now"
    if audit is not None:
        AuditLog(audit).check()
        found["audit"] = "it can be written"
    if store is not None:
        async with Consents(store_at(required(store))) as consents:
            count = len([each async for each in consents.list()])
        found["store"] = f"it can be reached, with {counted(count, 'consent')}"
    if url is not None and client_id is not None and key_file is not None:
        key = Path(key_file)
        async with PartnerCodeSource(url, client_id=client_id, key=key) as source:
            await source.check()
        found["partner"] = "it accepts this organization's key"
    if as_json:
        print_json(found)
        return
    for name, what in found.items():
        click.echo(f"{name:<11} {what}")


# ── Consents ────────────────────────────────────────────────────────────────────


@partner.group()
def consent() -> None:
    """Record, remove and list the consents to share objects with partners."""


def _consent_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.argument("ids", nargs=-1),
        click.option(
            "--scope", "text", help="Pairs permission:id, instead of ids to read."
        ),
        click.option("--partner", required=True, help="The partner's id, org_…."),
        with_store,
        with_json,
    ):
        command = option(command)
    return command


@consent.command(
    epilog=(
        "Example: persona-share partner consent grant --store partner.db "
        "--partner org_… --by form-4711 --days 90 inq_…"
    )
)
@_consent_options
@click.option(
    "--by", required=True, help="Your reference to the person or document that agreed."
)
@click.option("--until", metavar="DATE", help="End of the consent, such as 2027-01-31.")
@click.option(
    "--days",
    type=click.IntRange(min=1, max=_MAX_DAYS),
    help="Days until its end, instead of --until.",
)
def grant(*, as_json: bool, **given: Any) -> None:
    """Record a consent: a partner may read these objects until a date."""
    if (given["until"] is None) == (given["days"] is None):
        fail("Pass --until DATE or --days N.")
    run(_grant(as_json=as_json, **given), as_json=as_json)


async def _grant(
    *,
    as_json: bool,
    ids: tuple[str, ...],
    text: str | None,
    partner: str,
    store: str | None,
    by: str,
    until: str | None,
    days: int | None,
) -> None:
    scope = _scope(ids, text)
    end = _date(until) if until else _now() + timedelta(days=days or 0)
    async with Consents(store_at(required(store))) as consents:
        granted = await consents.grant(partner, scope, until=end, by=by)
    _print_consents([each.as_dict() for each in granted], as_json=as_json)


@consent.command(epilog="Example: … consent revoke --partner org_… inq_…")
@_consent_options
@click.option("--all", "everything", is_flag=True, help="All consents of this partner.")
def revoke(*, as_json: bool, **given: Any) -> None:
    """Remove consents; the partner gets no further code for these objects.

    A token that the partner has already works for up to an hour.
    """
    if sum(bool(given[name]) for name in ("everything", "ids", "text")) != 1:
        fail("Pass the ids, --scope, or --all.")
    run(_revoke(as_json=as_json, **given), as_json=as_json)


async def _revoke(
    *,
    as_json: bool,
    ids: tuple[str, ...],
    text: str | None,
    partner: str,
    store: str | None,
    everything: bool,
) -> None:
    async with Consents(store_at(required(store))) as consents:
        if everything or text:
            removed = await consents.revoke(partner, text)
        else:
            named = [
                str(each.scope)
                async for each in consents.list(partner)
                if each.object_id in ids
            ]
            removed = []
            for each in named:
                removed += await consents.revoke(partner, each)
    _print_consents([each.as_dict() for each in removed], as_json=as_json)


@consent.command("list")
@click.option("--partner", help="Only consents for this partner, org_….")
@with_store
@with_json
def list_(*, partner: str | None, store: str | None, as_json: bool) -> None:
    """List the consents that are valid now."""
    run(_list(partner, store, as_json=as_json), as_json=as_json)


async def _list(partner: str | None, store: str | None, *, as_json: bool) -> None:
    async with Consents(store_at(required(store))) as consents:
        found = [each.as_dict() async for each in consents.list(partner)]
    _print_consents(
        sorted(found, key=lambda each: (each["partner"], each["object_id"])),
        as_json=as_json,
    )


def _print_consents(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"consents": found})
        return
    for each in found:
        click.echo(
            f"{each['partner']}  {each['permission']}:{each['object_id']}  "
            f"until {each['until']}  by {each['by']}  {each['id']}"
        )
    click.echo(counted(len(found), "consent"), err=True)


# ── Reading options ─────────────────────────────────────────────────────────────


def _scope(ids: tuple[str, ...], text: str | None) -> Scope:
    if bool(ids) == bool(text):
        fail("Pass the ids to share, or --scope.")
    return Scope.parse(text) if text else Scope.read(*ids)


def _date(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail("--until must be a date such as 2027-01-31, or a time with its zone.")
    if found.tzinfo is None and len(text) > len("2027-01-31"):
        fail("--until needs a time zone, such as 2027-01-31T12:00:00Z.")
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # a command uses the machine's clock
