"""``persona-share doctor``: what is wrong, and what to do about it."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

import attrs
import rich_click as click
from rich.console import Console

from persona_share import PersonaClient, ScopedTokenManager, Secret, stores
from persona_share.cli.client_options import ClientOptions, with_client_options
from persona_share.cli.exit_codes import OK, OTHER, exit_code_of, fail, print_json, run
from persona_share.errors import (
    ExchangeForbiddenError,
    PersonaError,
    TokenError,
)
from persona_share.ports.store import Store


#: Signatures of webhooks and assertions are refused beyond a few minutes.
_WORST_SKEW: Final = 30.0
#: The first release that the tests of this library pass on.
_UVLOOP: Final = (0, 23)
_MARK: Final = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


@attrs.frozen
class Finding:
    """One thing that was looked at; ``code`` is what the command would end with."""

    name: str
    state: Literal["ok", "warning", "bad"]
    what: str
    advice: str = ""
    code: int = OK


@click.command()
@click.option(
    "--store",
    metavar="URL",
    help="A store to reach: a file, or a URL of Redis; else PERSONA_STORE.",
)
@with_client_options
def doctor(options: ClientOptions, store: str | None) -> None:
    """Look at the key, the clock, OAuth, the limits and the store.

    To see whether OAuth is enabled it offers a code that cannot be one; nothing is
    changed and no code is spent.
    """
    if store is not None and "@" in store:
        message = "A URL with a password belongs into PERSONA_STORE."
        fail(message)
    place = store or os.environ.get("PERSONA_STORE")
    run(_doctor(options, place), as_json=options.as_json)


async def _doctor(options: ClientOptions, store: str | None) -> int:
    key = options.key()
    findings = [_kind(key), _event_loop()]
    async with options.client(key) as client:
        findings += [each async for each in _service(client)]
        if store is not None:
            findings.append(await _store(client, store))
    worst = next((each.code for each in findings if each.state == "bad"), OK)
    if options.as_json:
        shown = [
            attrs.asdict(each, filter=lambda field, _: field.name != "code")
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
    return Finding("key", "warning", "of a kind that is not known", advice)


def _event_loop() -> Finding:
    try:
        found = version("uvloop")
    except PackageNotFoundError:
        return Finding("event loop", "ok", "asyncio's own; uvloop is not installed")
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < _UVLOOP:
        advice = f"Upgrade to {'.'.join(map(str, _UVLOOP))} or leave it out."
        return Finding("event loop", "warning", f"uvloop {found} is too old", advice)
    return Finding("event loop", "ok", f"uvloop {found} is installed")


async def _service(client: PersonaClient) -> AsyncIterator[Finding]:
    try:
        page = await client.rate_limits.list()
    except PersonaError as error:
        yield _bad("service", error)
        return
    yield Finding("service", "ok", "it answers and takes the key")
    yield _clock(page.answer.date)
    for each in page.items:
        what = f"{each.remaining} of {each.limit} requests a minute are left"
        low = bool(each.limit) and (each.remaining or 0) * 10 < (each.limit or 0)
        yield Finding("limit", "warning" if low else "ok", what)
    yield await _oauth(client)


def _clock(date: str | None) -> Finding:
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return Finding("clock", "warning", "the service does not tell its time")
    skew = abs((datetime.now(UTC) - theirs).total_seconds())  # noqa: TID251  # it is this very clock that is looked at
    if skew > _WORST_SKEW:
        advice = "Set it (NTP): webhooks and assertions are judged by it."
        return Finding("clock", "bad", f"off by {skew:.0f} s", advice, OTHER)
    return Finding("clock", "ok", "agrees with the service's")


async def _oauth(client: PersonaClient) -> Finding:
    # Another one each time: the service would repeat what it answered to the last.
    code = f"persona-share-doctor-{client.context.runtime.new_key()}"
    try:
        async with ScopedTokenManager(client) as manager:
            await manager.exchange(code)
    except ExchangeForbiddenError as error:
        return Finding(
            "oauth", "bad", "not enabled (403)", error.advice, exit_code_of(error)
        )
    except TokenError as error:
        if error.status is not None and error.status >= 500:  # noqa: PLR2004  # a server's fault
            return _bad("oauth", error)
    except PersonaError as error:
        return _bad("oauth", error)
    return Finding("oauth", "ok", "enabled for this organization")


async def _store(client: PersonaClient, url: str) -> Finding:
    try:
        async with ScopedTokenManager(
            client, store=_opened(url), on_store_failure="fail"
        ):
            pass
    except PersonaError as error:
        return _bad("store", error)
    return Finding("store", "ok", "it can be reached")


def _opened(url: str) -> Store:
    if url.startswith(("redis:", "rediss:", "unix:")):
        return stores.RedisStore(url, plaintext=True)
    return stores.SQLiteStore(url.removeprefix("sqlite:"))


def _bad(name: str, error: PersonaError) -> Finding:
    return Finding(name, "bad", error.what, error.advice, exit_code_of(error))
