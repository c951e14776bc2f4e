"""Every option has a variable, which its help names; none of them prints a secret."""

import csv
import os
import re

import pytest
from click import Context, Group, Option
from click.testing import CliRunner

from persona_share.cli.app import app


#: No variable reveals a secret; the library itself reads the third one.
WITHOUT = {"--reveal", "--force", "--insecure-local"}
SHARED = {"PERSONA_STORE", "PERSONA_JSON", "PERSONA_TOKEN_FILE", "PERSONA_PROXY"}


def commands(command=app, path=()):
    """All commands, each with the words that call it."""
    names = command.list_commands(Context(app)) if isinstance(command, Group) else ()
    for name in names:
        found = command.get_command(Context(app), name)
        yield (*path, name), found
        yield from commands(found, (*path, name))


def options():
    for path, command in commands():
        for each in command.params:
            if isinstance(each, Option):
                yield path, each


def test_every_option_has_a_variable_of_its_own():
    names = {}
    for path, each in options():
        if WITHOUT.intersection(each.opts):
            assert each.envvar is None
            continue
        assert re.fullmatch(r"PERSONA_[A-Z_]+", each.envvar), (path, each.opts)
        assert each.envvar not in names.get(path, ())
        names.setdefault(path, set()).add(each.envvar)

    assert names["fetch",] >= {"PERSONA_FETCH_OUTPUT", "PERSONA_FETCH_FORMAT"}
    assert names["partner", "serve"] >= {"PERSONA_PARTNER_SERVE_PORT"}
    assert set.union(*names.values()) >= SHARED


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_help_of_each_command_names_its_variables_and_prints_no_value(path):
    variables = {
        each.envvar: "CANARY" for _, each in options() if each.envvar is not None
    }
    secrets = ("API_KEY", "SOURCE_API_KEY", "CODE", "WEBHOOK_SECRET")
    variables |= {f"PERSONA_{name}": "CANARY" for name in secrets}
    done = CliRunner().invoke(
        app, [*path, "--help"], env={**variables, "COLUMNS": "300"}
    )
    (command,) = [command for found, command in commands() if found == path]

    assert done.exit_code == 0
    assert f" {' '.join(path)} [OPTIONS]" in done.output
    assert "CANARY" not in done.output
    for each in command.params:
        if isinstance(each, Option) and each.envvar:
            assert each.envvar in done.output


def test_fetch_runs_with_variables_alone(cli, as_source, tmp_path):
    ids, output = cli.inquiries(3), tmp_path / "people.csv"
    (tmp_path / "ids").write_text("\n".join(ids))
    ended = cli(
        "fetch",
        env={
            **as_source,
            "PERSONA_FETCH_IDS": str(tmp_path / "ids"),
            "PERSONA_FETCH_OUTPUT": str(output),
            "PERSONA_FETCH_FORMAT": "csv",
            "PERSONA_FETCH_CONCURRENCY": "2",
            "PERSONA_JSON": "1",
        },
    )

    assert ended.code == 0, ended.err
    assert ended.value["fetched"] == 3
    with output.open() as file:
        assert sorted(row["id"] for row in csv.DictReader(file)) == sorted(ids)


def test_argument_takes_precedence_over_a_conflicting_variable(cli, sharing):
    (inquiry,) = cli.inquiries(1)
    variables = {
        "PERSONA_TOKEN_FILE": os.devnull,
        "PERSONA_FETCH_IDS": os.devnull,
        "PERSONA_PARTNER": "1",
    }
    ended = cli("fetch", inquiry, *sharing, env=variables)

    assert ended.code == 0, ended.err
    assert inquiry in ended.out


def test_variable_of_a_repeated_option_has_one_value_per_line():
    variables = {"PERSONA_SANDBOX_FAULT": "POST /oauth/token=503*2\nno such=nonsense"}
    done = CliRunner().invoke(app, ["sandbox"], env=variables)

    assert done.exit_code != 0
    assert "nonsense" in done.output
    assert "oauth" not in done.output
