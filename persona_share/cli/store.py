"""``persona-share store``: makes what a store needs."""

import os
from pathlib import Path
from typing import Final

import rich_click as click

from persona_share import stores
from persona_share.cli.client_options import with_json
from persona_share.cli.exit_codes import fail, print_json, run
from persona_share.errors import PersonaError
from persona_share.ports import Store


STORE: Final = "PERSONA_STORE"
_NOT_FOUND: Final = 5
_REDIS: Final = ("redis://", "rediss://", "unix://")
_POSTGRES: Final = ("postgresql://", "postgres://")


def place_of(store: str | None) -> str:
    """Return where a store is: the option, else the variable PERSONA_STORE."""
    where = store or os.environ.get(STORE)
    if not where:
        fail(f"There is no store: pass --store, or set {STORE}.")
    if store and "://" in store and "@" in store:
        fail(f"Pass a URL with a password in {STORE}, not as an argument.")
    return where


def store_at(where: str, *, create: bool = False) -> Store:
    """Return the store at a file or URL; unless ``create``, a file must be there."""
    try:
        if where.startswith(_REDIS):
            return stores.RedisStore(where, plaintext=True)
        if where.startswith(_POSTGRES):
            return stores.PostgresStore(where, create=create, plaintext=True)
    except PersonaError as error:
        fail(str(error))
    path = Path(where.removeprefix("sqlite:")).expanduser()
    if not create and not path.exists():
        fail(f"There is no file {path}.", _NOT_FOUND)
    return stores.SQLiteStore(path)


@click.group()
def store() -> None:
    """Prepare a store: a file of SQLite, Redis, or PostgreSQL.

    This needs no API key and sends nothing to Persona. A URL comes from PERSONA_STORE.
    """


@store.command(epilog="Example: persona-share store init --store tokens.db")
@click.option("--store", "place", help=f"A file or a URL; default: {STORE}.")
@with_json
def init(place: str | None, *, as_json: bool) -> None:
    """Make the table or the file of a store, if it is missing, and check it.

    Run it once with a user who may create tables; the application's user needs SELECT,
    INSERT, UPDATE and DELETE on persona_share_records only.
    """
    run(_init(place_of(place), as_json=as_json), as_json=as_json)


async def _init(where: str, *, as_json: bool) -> None:
    found = store_at(where, create=True)
    try:
        await found.open()
    finally:
        await found.aclose()
    if as_json:
        print_json({"ready": True})
    else:
        click.echo("The store is ready.")
