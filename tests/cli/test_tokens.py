"""``persona-share tokens``, run as a user runs it."""

import asyncio
import json
import os
import pty
import subprocess
import sys

import pytest

from persona_share import Scope
from persona_share._tokens import record as records
from persona_share._tokens.record import (
    ScopeRecord,
    StoredToken,
    fingerprint,
)
from persona_share.model.secret import Secret
from persona_share.stores import Encrypted, SQLiteStore
from tests.cli.conftest import COMMAND
from tests.processes import run


SCOPE = Scope.read("inq_1")
CANARY = "canary-token"
KEY = b"\x07" * 32


def filled(path, *, sealed=False):
    """Put one token into a file."""

    async def fill():
        store = SQLiteStore(path)
        if sealed:
            store = Encrypted(store, keys=[KEY])
        await store.open()
        key, secret = "scope/" + "ab" * 20, Secret(CANARY)
        now = (await store.read(key)).now
        token = StoredToken(
            fingerprint(secret), secret, SCOPE.text, "", now + 3_000, 3_599.0, now
        )
        value = records.encode(key, ScopeRecord(token=token))
        assert await store.write(key, value, if_etag="", ttl=3_000.0)
        await store.aclose()

    asyncio.run(fill())
    return str(path)


@pytest.fixture
def place(tmp_path):
    return filled(tmp_path / "tokens.db")


def said(*arguments, **environment):
    """Run the command and return how it ended."""
    return run(COMMAND, "tokens", *arguments, env=os.environ | environment)


def test_tokens_list_shows_records_without_secrets(place):
    done = said("list", "--store", place, "--json")
    [token] = done.value["tokens"]

    assert done.code == 0
    assert set(token) == {
        "name", "seconds", "scope", "sealed", "exchanging", "paused", "codes", "state",
    }  # fmt: skip
    assert (token["scope"], token["state"]) == (str(SCOPE), "held")
    assert CANARY not in done.out + done.err


def test_table_is_for_people(place):
    done = said("list", PERSONA_STORE=place, COLUMNS="120")

    assert done.code == 0
    assert str(SCOPE) in done.out
    assert CANARY not in done.out


def test_token_is_revealed_on_a_terminal_only(place):
    there, here = pty.openpty()
    command = [sys.executable, "-m", "persona_share", "tokens", "show", "abab"]
    command += ["--store", place, "--reveal", "--json"]
    subprocess.run(command, stdout=here, check=True, timeout=60)  # noqa: S603  # ours
    os.close(here)
    shown = os.read(there, 4_096).decode()
    os.close(there)
    piped = said("show", "abab", "--store", place, "--reveal")

    assert json.loads(shown)["token"] == CANARY
    assert piped.code == 2
    assert CANARY not in piped.out + piped.err


def test_without_reveal_no_secret_is_shown(place):
    done = said("show", "abab", "--store", place)

    assert "scope: inquiry.read:inq_1" in done.out
    assert CANARY not in done.out


def test_forgotten_token_is_no_longer_stored(place):
    done = said("forget", "abab", "--store", place, "--json")
    after = said("list", "--store", place, "--json")

    assert done.value == {"forgotten": "ab" * 20}
    assert after.value["tokens"] == []


def test_sealed_store_is_opened_by_its_keys(tmp_path):
    place = filled(tmp_path / "sealed.db", sealed=True)
    keys = tmp_path / "keys"
    keys.write_text(KEY.hex())
    keys.chmod(0o600)
    closed = said("list", "--store", place, "--json")
    opened = said("list", "--store", place, "--keys-file", str(keys), "--json")

    assert [each["sealed"] for each in closed.value["tokens"]] == [True]
    assert opened.value["tokens"][0]["scope"] == str(SCOPE)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("list",), 2, "PERSONA_STORE"),
        (
            ("list", "--store", "rediss://:word@example.com"),
            2,
            "not as an argument",
        ),
        (("list", "--store", "/no/such/file"), 5, "no file"),
        (("show", "ffff"), 5, "No record has"),
    ],
)
def test_error_for_bad_input_names_the_fix(place, arguments, code, word):
    environment = {"PERSONA_STORE": place} if arguments[0] == "show" else {}
    done = said(*arguments, **environment)

    assert done.code == code
    assert word in " ".join(done.err.replace("│", " ").split())


def test_unknown_id_fails_with_advice_about_the_id(cli, sharing, tmp_path):
    into = ("--into", str(tmp_path / "people"))
    ended = cli("copy", "inq_unknown", *into, *sharing, "--json")
    (failed,) = ended.value["failures"]

    assert "Persona does not know this ID" in failed["error"]["message"]
    assert failed["error"]["retryable"] is False
    assert "--client-id" in failed["error"]["advice"]
    assert "--code-command" not in failed["error"]["advice"]
