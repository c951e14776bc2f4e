"""``persona-share sandbox``: its options, and what they refuse."""

import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from persona_share.cli.sandbox import sandbox
from persona_share.sandbox import Switches


ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("persona-share")


@contextmanager
def running(*options):
    """Run the command, and yield the facts that it prints."""
    command = [PROGRAM, "sandbox", "--json", "--inquiries", "1", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()


def failed(*options):
    """Return what the command says about options that it cannot use."""
    done = CliRunner().invoke(sandbox, ["--json", *map(str, options)])
    assert done.exit_code != 0
    return " ".join(done.output.replace("│", " ").split())


def get(facts, path, side="source"):
    """Return the JSON of a response, or the status of an error."""
    headers = {"Authorization": f"Bearer {facts[side]['api_key']}"}
    request = urllib.request.Request(  # noqa: S310 - http
        facts["url"] + path, headers=headers
    )
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310 - http
            return json.load(response)
    except urllib.error.HTTPError as error:
        return error.code


def test_its_options_prepare_the_whole_job(tmp_path):
    people = tmp_path / "people.jsonl"
    people.write_text(
        '{"id": "inq_ann", "name_first": "Ann"}\n\n{"name_first": "Bea"}\n'
    )
    options = (
        *("--people", people, "--connected"),
        *("--source-key", "localbox_one", "--accept-connections-after", "0"),
        *("--switch", "scope_order=canonical", "--limit", "log_entries=5"),
        *("--fault", "GET /accounts=502*2", "--rate-limit", "0"),
    )

    with running(*options) as facts:
        inquiry = get(facts, "/inquiries/inq_ann")
        connections = get(facts, "/connect/connections")
        statuses = [get(facts, "/accounts") for _ in range(3)]

    assert facts["source"]["api_key"] == "localbox_one"
    assert len(facts["inquiries"]) == 3
    fields = inquiry["data"]["attributes"]["fields"]
    assert fields["name-first"]["value"] == "Ann"
    (connection,) = connections["data"]
    assert [connection["id"]] == facts["connections"]
    assert connection["attributes"]["status"] == "active"
    assert statuses[:2] == [502, 502]
    assert "data" in statuses[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--switch", "no_such_switch=1"), "there is no switch 'no_such_switch'"),
        (("--switch", "scope_order"), "takes NAME=VALUE"),
        (("--switch", "scope_order=random"), "canonical"),
        (("--fault", "GET /nowhere=503"), "serves no operation 'GET /nowhere'"),
        (("--fault", "GET /accounts=explode"), "is not a kind of fault"),
        (("--limit", "no_such_table=1"), "there is no such table"),
        (("--limit", "log_entries=0"), "at least 1"),
        (("--source-key", "persona_sandbox_1"), "begins with localbox_"),
    ],
)
def test_option_that_cannot_be_used_is_named(options, words):
    assert words in failed(*options)


def test_people_that_are_no_json_are_named_by_their_line(tmp_path):
    people = tmp_path / "people.jsonl"
    people.write_text('{"name_first": "Ann"}\n{name}\n')

    assert "line 2: this is not JSON" in failed("--people", people)


def test_page_about_the_sandbox_names_every_switch():
    page = (ROOT / "docs" / "sandbox.md").read_text("utf-8")

    names = [each.name for each in Switches.__attrs_attrs__]
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_documents_give_each_inquiry_a_document_and_a_report():
    with running("--documents") as facts:
        (inquiry,) = facts["inquiries"]
        found = get(facts, f"/inquiries/{inquiry}")["data"]["relationships"]

    assert len(found["documents"]["data"]) == len(found["reports"]["data"]) == 1
