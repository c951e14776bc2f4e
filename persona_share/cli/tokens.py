"""``persona-share tokens``: what a token store holds."""

from collections.abc import Callable
from typing import Any, Final

import attrs
import rich_click as click

from persona_share import stores
from persona_share.browsing import Browser, Stored
from persona_share.cli.client_options import with_json
from persona_share.cli.exit_codes import fail, print_json, run, show_table
from persona_share.cli.secret_input import read_secret_lines, require_terminal
from persona_share.cli.store import STORE, place_of, store_at
from persona_share.errors import ConfigurationError
from persona_share.model.scope import Scope


_NOT_FOUND: Final = 5
#: So much of a name is enough to tell it from the others.
_SHOWN: Final = 12


def with_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which store it is."""
    store = click.option("--store", help=f"A file or a URL; default: {STORE}.")
    keys = click.option(
        "--keys-file",
        metavar="FILE",
        help="File with the keys of an encrypted store, one per line.",
    )
    return store(keys(with_json(command)))


@click.group()
def tokens() -> None:
    """Look after a token store: a file of SQLite, Redis, or PostgreSQL.

    This needs no API key and sends nothing to Persona. A sealed store shows when its
    tokens expire; --keys-file opens it.
    """


@tokens.command("list", epilog="Example: persona-share tokens list --store tokens.db")
@with_store
def list_(store: str | None, keys_file: str | None, *, as_json: bool) -> None:
    """List what the store holds, the first to expire first."""
    run(_list(_opened(store, keys_file), as_json=as_json), as_json=as_json)


@tokens.command(epilog="Example: persona-share tokens show 3f2a --store tokens.db")
@click.argument("name")
@click.option("--reveal", is_flag=True, help="Print the token, on a terminal.")
@click.option(
    "--force", is_flag=True, help="Print it even if the output is not a terminal."
)
@with_store
def show(  # click passes options by name
    name: str,
    store: str | None,
    keys_file: str | None,
    *,
    reveal: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Show what the store holds under a NAME; its beginning is enough."""
    require_terminal(reveal=reveal, force=force)
    work = _show(_opened(store, keys_file), name, reveal=reveal, as_json=as_json)
    run(work, as_json=as_json)


@tokens.command(epilog="Example: persona-share tokens forget 3f2a --store tokens.db")
@click.argument("name")
@with_store
def forget(
    name: str, store: str | None, keys_file: str | None, *, as_json: bool
) -> None:
    """Drop a token and its codes; the next caller exchanges a new code.

    A process that holds the token uses it until it expires.
    """
    run(_forget(_opened(store, keys_file), name, as_json=as_json), as_json=as_json)


async def _list(browser: Browser, *, as_json: bool) -> None:
    async with browser:
        found = await browser.list()
    if as_json:
        print_json({"tokens": [_facts(each) for each in found]})
        return
    shown = [each for each in found if _state(each) != "empty"]
    show_table(
        ("name", "scope", "expires in", "codes", "state"),
        [
            (
                each.name[:_SHOWN],
                "(sealed)" if each.sealed else _summary(each.scope),
                "" if each.seconds is None else f"{each.seconds:.0f} s",
                str(each.codes),
                _state(each),
            )
            for each in shown
        ],
    )
    empty = len(found) - len(shown)
    rest = f", and {empty} without a token or a code" if empty else ""
    click.echo(f"{len(shown)} tokens{rest}")


def _summary(scope: Scope | None) -> str:
    """Return a scope on one line: its permissions, its first object and a count."""
    if scope is None:
        return ""
    pairs = list(scope.pairs())
    if len(pairs) == 1:
        return str(scope)
    permissions = ",".join(dict.fromkeys(permission for permission, _ in pairs))
    first = next((each for _, each in pairs if each is not None), "any object")
    return f"{permissions} of {first} and {len(pairs) - 1} more"


async def _show(browser: Browser, name: str, *, reveal: bool, as_json: bool) -> None:
    async with browser:
        found = _named(await browser.list(), name)
    facts = _facts(found)
    if reveal:
        if found.token is None:
            fail(
                "There is no token to reveal: the record has none, or it is encrypted."
            )
        facts["token"] = found.token.reveal()
    if as_json:
        print_json(facts)
        return
    for key, value in facts.items():
        click.echo(f"{key}: {'' if value is None else value}")


async def _forget(browser: Browser, name: str, *, as_json: bool) -> None:
    async with browser:
        found = _named(await browser.list(), name)
        await browser.drop(found.name)
    if as_json:
        print_json({"forgotten": found.name})
    else:
        click.echo(f"forgotten: {found.name}")


def _named(every: list[Stored], name: str) -> Stored:
    found = [each for each in every if each.name.startswith(name)]
    if len(found) != 1:
        what = "No record has" if not found else f"{len(found)} records have"
        fail(f"{what} a name that begins with {name!r}.", _NOT_FOUND)
    return found[0]


def _facts(stored: Stored) -> dict[str, Any]:
    facts = attrs.asdict(stored, filter=lambda field, _: field.name != "token")
    return facts | {
        "scope": None if stored.scope is None else str(stored.scope),
        "state": _state(stored),
    }


def _state(stored: Stored) -> str:
    if stored.exchanging:
        return "exchanging"
    if stored.paused:
        return f"paused for {stored.paused:.0f} s"
    return "held" if stored.seconds is not None else "empty"


def _opened(store: str | None, keys_file: str | None) -> Browser:
    found = store_at(place_of(store))
    if keys_file is None:
        return Browser(found)
    keys = read_secret_lines("keys", keys_file)
    try:
        return Browser(stores.Encrypted(found, keys))
    except ConfigurationError as error:
        fail(f"{error.what[0].upper()}{error.what[1:]}.")
