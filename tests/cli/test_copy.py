"""``persona-share copy``: people into folders, again, and verified."""

import json


def test_people_are_copied_continued_and_verified(cli, sandbox, sharing, tmp_path):
    ids = cli.inquiries(5)
    for each in ids:
        sandbox.add_verification(inquiry=each, kind="government-id")
    into, listed = tmp_path / "people", tmp_path / "ids"
    listed.write_text("\n".join(ids))
    command = ("copy", "--ids", str(listed), "--into", str(into), *sharing, "--json")
    first, again = cli(*command), cli(*command)
    verified = cli("copy", "--into", str(into), "--verify")
    (into / ids[0] / "inquiry.json").unlink()
    damaged = cli("copy", "--into", str(into), "--verify", "--json")

    assert first.code == 0, first.err
    assert (first.value["copied"], first.value["files"]) == (5, 10)
    assert (again.value["copied"], again.value["skipped"]) == (0, 5)
    assert verified.code == 0, verified.out
    assert verified.out.startswith("5 people, 20 files, 0 problems")
    assert damaged.code == 1
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
