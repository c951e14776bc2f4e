"""Every command: what it does, its JSON keys, and its exit codes."""

import functools
import inspect
import json
import os
import re
import stat
import subprocess
import sys

import pytest
from click import Context

from persona_share import webhooks
from persona_share._transport.runtime import SystemClock
from persona_share.cli.app import _COMMANDS, app


MASK = "**********"


@pytest.fixture
def code(cli, as_source, sandbox, tmp_path):
    """A file with a code for one inquiry, and the inquiry's id."""
    (inquiry,) = cli.inquiries(1)
    path = tmp_path / "code"
    ended = cli(
        *("authorize", "--client-id", sandbox.destination.id, inquiry),
        *("--code-file", str(path), "--json"),
        env=as_source,
    )
    assert ended.code == 0, ended.err
    return path, inquiry, ended


def test_authorize_leaves_the_code_in_a_file_for_this_user_alone(code):
    path, inquiry, ended = code

    assert set(ended.value) == {"code", "code_file", "scope", "expires_at"}
    assert ended.value["code"] == MASK
    assert ended.value["scope"] == f"inquiry.read:{inquiry}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() not in ended.out + ended.err


def test_exchange_writes_a_token_that_get_uses(cli, code, tmp_path):
    path, inquiry, _ = code
    token = tmp_path / "token"
    ended = cli(
        *("exchange", "--code-file", str(path), "--token-file", str(token), "--json")
    )
    before = token.read_text()
    again = cli("exchange", "--code-file", str(path), "--token-file", str(token))
    shown = cli("get", inquiry, "--token-file", str(token), "--json")

    assert again.code == 2  # no file of a secret is ever overwritten
    assert token.read_text() == before
    assert set(ended.value) == {
        *("token", "token_file", "scope", "expires_at", "expires_in"),
    }
    assert ended.value["token"] == MASK
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert set(shown.value) == {"objects", "failed"}
    assert shown.value["objects"][0]["id"] == inquiry


def test_delivered_codes_determine_the_objects(cli, code):
    path, inquiry, _ = code
    ended = cli("get", "--code-file", "-", "--json", stdin=path.read_text())

    assert [each["id"] for each in ended.value["objects"]] == [inquiry]


def test_code_command_supplies_codes_and_sees_no_key(cli, code, tmp_path):
    path, inquiry, _ = code
    script = tmp_path / "ask-partner"
    script.write_text(
        f"#!/bin/sh\nenv | grep -c API_KEY > {tmp_path}/keys\n"
        f"cat > {tmp_path}/asked\ncat {path}\n"
    )
    script.chmod(0o700)
    ended = cli("get", inquiry, "--code-command", str(script), "--json")

    assert ended.code == 0, ended.err
    assert (tmp_path / "asked").read_text() == f"inquiry.read:{inquiry}\n"
    assert (tmp_path / "keys").read_text() == "0\n"


def test_get_shows_the_others_when_an_object_is_nested_too_deeply(
    cli, as_source, sandbox
):
    nested = functools.reduce(lambda inner, _: {"x": inner}, range(70), {})
    ids = [*cli.inquiries(1), sandbox.add_inquiry(note=nested).id]
    ended = cli("get", *ids, "--json", env=as_source)

    assert ended.code == 10
    assert [each["id"] for each in ended.value["objects"]] == ids[:1]
    assert [each["id"] for each in ended.value["failed"]] == ids[1:]


def test_get_shows_an_object_as_the_api_has_it(cli, as_source):
    (inquiry,) = cli.inquiries(1)
    ended = cli("get", inquiry, env=as_source)

    assert ended.code == 0
    assert json.loads(ended.out)["attributes"]["status"] == "completed"


def test_no_address_of_a_file_is_printed(cli, as_source, sandbox):
    document = sandbox.add_document(kind="government-id").id
    ended = cli("get", document, "--json", env=as_source)

    assert ended.value["objects"][0]["id"] == document
    assert "access_token=" not in ended.out
    assert MASK in ended.out


def test_fetch_writes_pdfs_and_files_beside_its_lines(cli, sharing, sandbox, tmp_path):
    (inquiry,) = cli.inquiries(1)
    document = sandbox.add_document(kind="government-id").id
    ended = cli(
        *("fetch", inquiry, document, *sharing, "--json"),
        *("--output", str(tmp_path / "out"), "--quiet"),
        *("--pdf", str(tmp_path / "pdf"), "--files", str(tmp_path / "files")),
    )
    files = sorted((tmp_path / "files").iterdir())

    assert ended.code == 0, ended.err
    assert [each.name for each in (tmp_path / "pdf").iterdir()] == [f"{inquiry}.pdf"]
    assert (tmp_path / "pdf" / f"{inquiry}.pdf").read_bytes().startswith(b"%PDF")
    assert files
    assert all(each.name.startswith(f"{document}-") for each in files)
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert sandbox.log.authorizations_at_files == 0


def test_plan_prints_the_cost_and_fetches_nothing(cli, sharing, sandbox):
    ids = cli.inquiries(250)
    ended = cli("fetch", *ids, *sharing, "--plan", "--json")

    assert ended.value == {
        "objects": 250,
        "tokens": 3,
        "limit": 100_000,
        "shortest_seconds": 0.0,
    }
    assert sandbox.log.count("GET /inquiries/{inquiry-id}") == 0


def test_fetch_report_always_has_the_same_keys(cli, sharing, tmp_path):
    output = tmp_path / "out"
    command = ("fetch", "--ids", "-", *sharing, "--output", str(output), "--json")
    (inquiry,) = cli.inquiries(1)
    ended = cli(*command, stdin=f"{inquiry}\ninq_unknown\n")

    assert ended.code == 10
    assert set(ended.value) == {
        *("fetched", "failed", "skipped", "seconds", "waits", "waited", "retries"),
        *("tokens", "p50", "p95", "failures"),
    }
    assert [each["id"] for each in ended.value["failures"]] == ["inq_unknown"]


def test_limits_prints_the_windows(cli):
    ended = cli("limits", "--json")
    (limit,) = ended.value["limits"]

    assert set(limit) == {"type", "limit", "remaining", "seconds_to_reset"}


def test_doctor_reports_no_problem_when_everything_works(cli, tmp_path):
    assert cli("store", "init", "--store", f"{tmp_path}/tokens").code == 0
    ended = cli("doctor", "--json", "--store", f"{tmp_path}/tokens")

    assert ended.code == 0
    assert set(ended.value) == {"healthy", "findings", "exit_code"}
    names = [each["name"] for each in ended.value["findings"]]
    assert names == [
        *("key", "event loop", "service", "clock", "limit", "oauth", "store"),
    ]
    assert all(
        set(each) == {"name", "state", "what", "advice"}
        for each in ended.value["findings"]
    )


def test_doctor_reports_the_problem_and_the_fix(cli, sandbox, tmp_path):
    broken = tmp_path / "tokens"
    broken.write_bytes(b"this is no store")
    sandbox.switches.oauth_enabled = False
    sandbox.advance(3_600)
    try:
        ended = cli("doctor", "--store", str(broken))
    finally:
        sandbox.switches.oauth_enabled = True
        sandbox.advance(-3_600)

    assert ended.code != 0
    assert re.search(r"clock: off by 3[56]\d\d s", ended.out)
    assert "oauth: not enabled (403) — OAuth is a restricted API" in ended.out
    assert "✗ store: the file" in ended.out


def test_get_says_what_to_do_next_once(cli):
    ended = cli("get", "inq_1", "inq_2", env={"PERSONA_API_KEY": "localbox_wrong"})

    assert ended.code == 3
    assert ended.err.count("failed inq_") == 2
    assert ended.err.count("Check that the API key is correct") == 1


def test_doctor_does_not_create_the_file_of_a_store(cli, tmp_path):
    ended = cli("doctor", "--store", f"{tmp_path}/tokens.db")

    assert ended.code == 0
    assert f"! store: there is no file {tmp_path}/tokens.db" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_doctor_takes_no_password_as_an_argument(cli):
    ended = cli("doctor", "--store", "redis://:hunter2@127.0.0.1:1/0")

    assert ended.code == 2
    assert "PERSONA_STORE" in ended.err


def test_doctor_reports_a_refused_key(cli):
    ended = cli("doctor", env={"PERSONA_API_KEY": "localbox_wrong"})

    assert ended.code == 3
    assert "service:" in ended.out


def test_share_token_is_created_on_a_connection_and_redeemed(cli, as_source, sandbox):
    offered = cli(
        "connections", "create", sandbox.destination.id, "--json", env=as_source
    )
    connection = offered.value["id"]
    sandbox.accept_connection(connection)
    (inquiry,) = cli.inquiries(1)
    made = cli(
        *("share-tokens", "create", inquiry, "--connection", connection, "--json"),
        env=as_source,
    )
    redeemed = cli("share-tokens", "redeem", made.value["id"], "--json")
    listed = cli("share-tokens", "list", "--direction", "inbound", "--json")

    assert set(offered.value) == {
        *("id", "type", "status"),
        *("source_organization_id", "destination_organization_id"),
    }
    assert set(made.value) == {
        *("id", "type", "status", "connection_id", "source_id"),
        *("destination_id", "expires_at"),
    }
    assert redeemed.value["status"] in {"pending", "redeemed"}
    assert made.value["id"] in [each["id"] for each in listed.value["items"]]


def test_webhook_verify_accepts_only_valid_signatures(cli, tmp_path):
    body = (
        b'{"data":{"type":"event","id":"evt_1",'
        b'"attributes":{"name":"inquiry.completed"}}}'
    )
    (tmp_path / "body").write_bytes(body)
    secret = {"PERSONA_WEBHOOK_SECRET": "wbhsec_canary"}
    good = webhooks.sign(body, "wbhsec_canary", at=SystemClock().wall())
    bad = webhooks.sign(body, "another", at=SystemClock().wall())
    command = ("webhook", "verify", str(tmp_path / "body"), "--json", "--signature")

    valid = cli(*command, good, env=secret)
    refused = cli(*command, bad, env=secret)

    assert valid.value == {"valid": True, "id": "evt_1", "name": "inquiry.completed"}
    assert refused.code == 9
    assert json.loads(refused.err)["error"]["type"] == "SignatureError"


def test_shell_completion_script_is_printed(cli):
    ended = cli("completion", "bash")

    assert ended.code == 0
    assert "_PERSONA_SHARE_COMPLETE" in ended.out


def test_completion_lists_the_commands(cli):
    ended = cli(
        env={
            "_PERSONA_SHARE_COMPLETE": "bash_complete",
            "COMP_WORDS": "persona-share sha",
            "COMP_CWORD": "1",
        }
    )

    assert "share-tokens" in ended.out


@pytest.mark.parametrize("words", ["persona-share --help", "persona-share fe"])
def test_listing_the_commands_imports_none_of_them(words):
    argument = words.split()[1]
    environment = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": "1"}
    if argument != "--help":
        environment["_PERSONA_SHARE_COMPLETE"] = "bash_complete"
    program = (
        "import sys; from persona_share.cli.app import app\n"
        f"try: app([{argument!r}], 'persona-share')\n"
        "except SystemExit: pass\n"
        "found = {'persona_share.cli.fetch', 'persona_share.client', 'aiohttp'}\n"
        "print(sorted(found & set(sys.modules)))"
    )
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "fetch" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"


def test_list_of_the_commands_has_the_first_paragraph_of_their_help():
    context = Context(app)
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        first = inspect.cleandoc(command.help).split("\n\n")[0].replace("\n", " ")
        assert (name, _COMMANDS[name][1]) == (name, first)
        assert (command.hidden, command.deprecated) == (False, False)
