"""The command that prepares a store."""

import pytest
from click.testing import CliRunner

from persona_share.cli.store import store
from tests.postgres_server import one_postgres, postgres_server


__all__ = ["one_postgres", "postgres_server"]


def init(*arguments, **environment):
    """Run ``store init`` in this process and return how it ended."""
    variables = {"PERSONA_STORE": None, **environment}
    return CliRunner().invoke(store, ["init", *arguments], env=variables)


def test_store_init_creates_the_table_once(postgres_server):
    first = init(PERSONA_STORE=postgres_server.url)
    second = init("--json", PERSONA_STORE=postgres_server.url)
    count = postgres_server.sql("SELECT count(*) FROM persona_share_records")

    assert (first.exit_code, first.output) == (0, "The store is ready.\n")
    assert (second.exit_code, second.output) == (0, '{"ready": true}\n')
    assert count == "0"


def test_created_file_is_private(tmp_path):
    path = tmp_path / "tokens.db"

    assert init("--store", str(path)).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "There is no store"),
        (["--store", "postgresql://me:CANARY@localhost/app"], "not as an argument"),
        (["--store", "postgresql://db.example/app"], "sslmode=verify-full"),
        (["--store", "redis://redis.example"], "rediss://"),
    ],
    ids=["none", "password", "postgres", "redis"],
)
def test_store_that_cannot_be_used_is_refused_with_advice(arguments, words):
    ended = init(*arguments)

    assert ended.exit_code != 0
    assert words in ended.output
    assert "CANARY" not in ended.output
