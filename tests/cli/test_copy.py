"""``persona-share copy``: people into folders, again, and verified."""

import json

import pytest


def test_people_are_copied_continued_and_verified(cli, sandbox, sharing, tmp_path):
    ids = cli.inquiries(5)
    for each in ids:
        sandbox.add_verification(inquiry=each, kind="government-id")
    into, listed = tmp_path / "people", tmp_path / "ids"
    listed.write_text("\n".join(ids))
    command = ("copy", "--ids", str(listed), "--into", str(into), *sharing, "--json")
    first, again = cli(*command), cli(*command)
    verified = cli("copy", "--into", str(into), "--verify")
    listed.write_text("\n".join([*ids, "inq_absent"]))
    incomplete = cli("copy", "--into", str(into), "--verify", "--ids", str(listed))
    piped = cli(
        *("copy", "--into", str(into), "--verify", "--ids", "-"), stdin="inq_absent"
    )
    (into / ids[0] / "inquiry.json").unlink()
    damaged = cli("copy", "--into", str(into), "--verify", "--json")

    assert first.code == 0, first.err
    assert (first.value["copied"], first.value["files"]) == (5, 10)
    assert (again.value["copied"], again.value["skipped"]) == (0, 5)
    assert verified.code == 0, verified.out
    assert verified.out.startswith("5 people, 10 objects, 10 files, 0 problems")
    assert incomplete.code == piped.code == damaged.code == 1
    expected = "inq_absent: missing\n5 people, 10 objects, 10 files, 1 problem\n"
    assert incomplete.out == piped.out == expected
    assert damaged.value["problems"] == [f"{ids[0]}/inquiry.json: missing"]
    manifest = json.loads((into / ids[1] / "manifest.json").read_text())
    assert len(manifest["files"]) == 4


def test_failed_people_are_in_the_failures_file(cli, as_source, tmp_path):
    ids, failures = cli.inquiries(2), tmp_path / "failures"
    ended = cli(
        *("copy", *ids, "inq_unknown", "--into", str(tmp_path / "people")),
        *("--failures", str(failures)),
        env=as_source,
    )

    assert ended.code == 10
    assert json.loads(failures.read_text())["id"] == "inq_unknown"
    assert "copied 2, unchanged 0, failed 1" in ended.err


def test_damaged_people_are_copied_again(cli, as_source, tmp_path):
    first, second = cli.inquiries(2)
    into = tmp_path / "people"
    command = ("copy", first, second, "--into", str(into), "--refresh")
    cli(*command, env=as_source)
    longer, same_size = into / first / "inquiry.json", into / second / "inquiry.json"
    longer.write_bytes(longer.read_bytes() + b"  ")
    same_size.write_bytes(same_size.read_bytes()[:-1] + b" ")
    refreshed = cli(*command, env=as_source)
    found = cli("copy", "--into", str(into), "--verify")
    repaired = cli(*command, "--verify", env=as_source)
    verified = cli("copy", "--into", str(into), "--verify")

    assert "copied 1, unchanged 1" in refreshed.err
    assert f"{second}/inquiry.json: the content has changed" in found.out
    assert "copied 1, unchanged 1" in repaired.err
    assert verified.code == 0, verified.out


def test_folder_that_does_not_exist_is_not_a_verified_copy(cli, tmp_path):
    ended = cli("copy", "--into", str(tmp_path / "people"), "--verify")

    assert ended.code == 2
    assert "cannot be read as a folder" in ended.err


@pytest.mark.parametrize("command", ["copy", "fetch"])
def test_exit_code_is_10_when_all_objects_of_a_run_fail(cli, tmp_path, command):
    where = {"copy": "--into", "fetch": "--output"}[command]
    ended = cli(command, "inq_unknown", where, str(tmp_path / "people"))

    assert ended.code == 10
    assert "If another organization owns the objects, pass --client-id" in ended.err


def test_exit_code_is_10_when_only_failures_are_left(cli, as_source, tmp_path):
    (inquiry,) = cli.inquiries(1)
    command = ("copy", inquiry, "inq_unknown", "--into", str(tmp_path / "people"))
    cli(*command, env=as_source)
    ended = cli(*command, "--json", env=as_source)

    assert (ended.value["skipped"], ended.value["failed"]) == (1, 1)
    assert ended.code == 10
