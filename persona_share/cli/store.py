"""``persona-share store`` and ``tokens``: prepare a store, and show what it holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import rich_click as click

from persona_share import stores
from persona_share.browsing import Browser, Stored
from persona_share.cli.exit_codes import counted, fail, print_json, run, show_table
from persona_share.cli.options import (
    decorated,
    is_argument,
    read_secret_lines,
    require_terminal,
    with_json,
    with_reveal,
)
from persona_share.errors import ConfigurationError, PersonaError
from persona_share.model.scope import Scope
from persona_share.ports import Store


STORE: Final = "PERSONA_STORE"
_NOT_FOUND: Final = 5
_REDIS: Final = ("redis://", "rediss://", "unix://")
_POSTGRES: Final = ("postgresql://", "postgres://")
#: The beginning of a name is enough to distinguish it from the others.
_SHOWN: Final = 12


def _no_password(_context: object, option: click.Parameter, value: Any) -> Any:
    if value and "://" in value and "@" in value and is_argument(option.name or ""):
        fail(f"Pass a URL with a password in {STORE}, not as an argument.")
    return value


#: Adds ``--store``; the commands pass its value to `store_at`.
with_store: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--store",
    metavar="FILE|URL",
    envvar=STORE,
    callback=_no_password,
    help="File of SQLite, or URL of Redis or PostgreSQL.",
)


def store_at(
    where: str, *, create_table: bool = False, must_exist: bool = False
) -> Store:
    """Return the store at a file or URL; ``must_exist`` concerns files only."""
    try:
        if where.startswith(_REDIS):
            return stores.RedisStore(where, plaintext=True)
        if where.startswith(_POSTGRES):
            return stores.PostgresStore(where, create=create_table, plaintext=True)
    except PersonaError as error:
        fail(str(error))
    if must_exist and (absent := absent_file(where)):
        fail(f"There is no file {absent}.", _NOT_FOUND)
    return stores.SQLiteStore(_path(where))


def absent_file(where: str) -> Path | None:
    """Return the file of a store if it does not exist; `store_at` would create it."""
    if where.startswith((*_REDIS, *_POSTGRES)) or _path(where).exists():
        return None
    return _path(where)


def _path(where: str) -> Path:
    return Path(where.removeprefix("sqlite:")).expanduser()


def required(store: str | None) -> str:
    """Return the file or URL of a store that a command needs."""
    return store or fail(
        f"There is no store: pass --store, such as partner.db, or set {STORE}."
    )


# ── store ───────────────────────────────────────────────────────────────────────


@click.group()
def store() -> None:
    """Prepare a store: a file of SQLite, Redis, or PostgreSQL.

    This needs no API key and sends nothing to Persona.
    """


@store.command(epilog="Example: persona-share store init --store tokens.db")
@with_store
@with_json
def init(store: str | None, *, as_json: bool) -> None:
    """Create the table or the file of a store, if it is missing, and check it.

    Run it once as a user who may create tables; the application's user needs SELECT,
    INSERT, UPDATE and DELETE on persona_share_records only.
    """
    run(_init(required(store), as_json=as_json), as_json=as_json)


async def _init(where: str, *, as_json: bool) -> None:
    found = store_at(where, create_table=True)
    try:
        await found.open()
    finally:
        await found.aclose()
    if as_json:
        print_json({"ready": True})
    else:
        click.echo("The store is ready.")


# ── tokens ──────────────────────────────────────────────────────────────────────


def _with_store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    keys = click.option(
        "--keys-file",
        metavar="FILE",
        help="File with the keys of an encrypted store, one per line.",
    )
    return decorated(command, with_store, keys, with_json)


@click.group()
def tokens() -> None:
    """List, show and forget the tokens of a store.

    This needs no API key and sends nothing to Persona. An encrypted store shows when
    its tokens expire; --keys-file decrypts it.
    """


@tokens.command("list", epilog="Example: persona-share tokens list --store tokens.db")
@_with_store_options
def list_(store: str | None, keys_file: str | None, *, as_json: bool) -> None:
    """List the tokens of a store; the first to expire comes first."""
    run(_list(_opened(store, keys_file), as_json=as_json), as_json=as_json)


@tokens.command(epilog="Example: persona-share tokens show 3f2a --store tokens.db")
@click.argument("name")
@with_reveal
@_with_store_options
def show(  # click passes options by name
    name: str,
    store: str | None,
    keys_file: str | None,
    *,
    reveal: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Show the token with this NAME; the beginning of the name is enough."""
    require_terminal(reveal=reveal, force=force)
    work = _show(_opened(store, keys_file), name, reveal=reveal, as_json=as_json)
    run(work, as_json=as_json)


@tokens.command(epilog="Example: persona-share tokens forget 3f2a --store tokens.db")
@click.argument("name")
@_with_store_options
def forget(
    name: str, store: str | None, keys_file: str | None, *, as_json: bool
) -> None:
    """Delete a token and its codes; the next caller exchanges a new code.

    A process that has loaded the token uses it until it expires.
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
                "(encrypted)" if each.sealed else _summary(each.scope),
                "" if each.seconds is None else f"{each.seconds:.0f} s",
                str(each.codes),
                _state(each),
            )
            for each in shown
        ],
    )
    empty = len(found) - len(shown)
    rest = f", and {empty} without a token or a code" if empty else ""
    click.echo(counted(len(shown), "token") + rest)


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
    found = store_at(required(store), must_exist=True)
    if keys_file is None:
        return Browser(found)
    keys = read_secret_lines("keys", keys_file)
    try:
        return Browser(stores.Encrypted(found, keys))
    except ConfigurationError as error:
        fail(f"{error.what[0].upper()}{error.what[1:]}.")
