"""`fetch` writes rows and files, and acknowledges what is on the disk."""

import csv
import fcntl
import json
import os
import signal
import subprocess
import threading

import pytest

from tests.cli.test_exit_codes import wait_until


def lines_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_object_whose_file_fails_is_fetched_again(cli, sandbox, as_source, tmp_path):
    ids = [
        sandbox.add_verification(inquiry=each, kind="government-id").id
        for each in cli.inquiries(6)
    ]
    out, failures = tmp_path / "out", tmp_path / "failures"
    command = (
        *("fetch", *ids, "--output", str(out), "--files", str(tmp_path / "files")),
        *("--pdf", str(tmp_path / "pdf"), "--failures", str(failures), "--json"),
    )
    operation = "GET /verifications/{verification-id}/print"
    sandbox.faults.answer(operation, 422, times=2)
    first = cli(*command, env=as_source)
    sandbox.faults.clear()
    second = cli(*command, env=as_source)

    assert (first.code, second.code) == (10, 0), first.err + second.err
    assert (first.value["fetched"], first.value["failed"]) == (4, 2)
    assert (second.value["fetched"], second.value["skipped"]) == (2, 4)
    assert failures.read_text() == ""  # of the second run
    assert sorted(each["id"] for each in lines_in(out)) == sorted(ids)
    assert {each.name for each in (tmp_path / "pdf").iterdir()} == {
        f"{each}.pdf" for each in ids
    }
    saved = [*(tmp_path / "files").iterdir()]
    assert len(saved) == 12
    assert {each.suffix for each in saved} == {".png"}


def test_every_failed_id_is_in_the_failures_file(cli, as_source, tmp_path):
    ids = [f"inq_unknown{number}" for number in range(150)]
    failures = tmp_path / "failures"
    ended = cli("fetch", *ids, "--failures", str(failures), env=as_source)

    assert ended.code == 10
    found = lines_in(failures)
    assert sorted(each["id"] for each in found) == sorted(ids)
    assert all(each["error"]["advice"] for each in found)
    assert failures.stat().st_mode & 0o777 == 0o600
    assert f"140 more; all are in {failures}" in ended.err


def test_rows_of_csv_have_the_documented_columns(cli, as_source, tmp_path):
    ids, out = cli.inquiries(3), tmp_path / "people.csv"
    ended = cli("fetch", *ids, "--output", str(out), "--format", "csv", env=as_source)
    with out.open(newline="") as file:
        rows = [*csv.DictReader(file)]

    assert ended.code == 0, ended.err
    assert sorted(each["id"] for each in rows) == sorted(ids)
    assert all(each["name_first"] and each["status"] for each in rows)


def test_rerun_in_another_format_is_refused(cli, as_source, tmp_path):
    ids, out = cli.inquiries(2), tmp_path / "out"
    cli("fetch", *ids, "--output", str(out), env=as_source)
    before = out.read_bytes()
    ended = cli("fetch", *ids, "--output", str(out), "--format", "csv", env=as_source)

    assert ended.code == 2
    assert "another format" in ended.err
    assert out.read_bytes() == before


@pytest.mark.parametrize("damage", ["shorter", "another", "missing"])
def test_output_that_does_not_fit_is_refused(cli, as_source, tmp_path, damage):
    ids, out = cli.inquiries(3), tmp_path / "out"
    cli("fetch", *ids, "--output", str(out), env=as_source)
    content = out.read_bytes()
    if damage == "missing":
        out.unlink()
    else:
        out.write_bytes(content[:-9] if damage == "shorter" else content[::-1])
    ended = cli("fetch", *ids, "--output", str(out), env=as_source)

    assert ended.code == 2
    assert "remove both" in ended.err
    assert {"shorter": "shorter", "another": "not the file", "missing": "missing"}[
        damage
    ] in ended.err


def test_file_of_another_program_is_unchanged(cli, as_source, tmp_path):
    out = tmp_path / "out"
    out.write_bytes(b"my only copy\n")
    ended = cli("fetch", *cli.inquiries(1), "--output", str(out), env=as_source)

    assert ended.code == 2
    assert "not overwritten" in ended.err
    assert out.read_bytes() == b"my only copy\n"
    assert [*tmp_path.iterdir()] == [out]  # no checkpoint


@pytest.mark.slow
def test_second_run_is_refused_and_the_first_is_not_disturbed(
    cli, sandbox, as_source, tmp_path
):
    ids, out = cli.inquiries(40), tmp_path / "out"
    sandbox.latency = 0.4
    command = ("fetch", *ids, "--output", str(out), "--concurrency", "2")
    first = cli.start(*command, env=as_source, stderr=subprocess.PIPE)
    wait_until(lambda: out.exists() and out.read_bytes().count(b"\n") > 3)
    second = cli(*command, env=as_source)
    _, err = first.communicate(timeout=60)

    assert second.code == 8
    assert f"in use by another fetch (pid {first.pid})" in second.err
    assert "--checkpoint" in second.err
    assert first.returncode == 0, err
    assert sorted(each["id"] for each in lines_in(out)) == sorted(ids)


def test_refused_checkpoint_leaves_nothing_behind(cli, as_source, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "out.checkpoint").symlink_to(tmp_path / "elsewhere")
    command = ("fetch", *cli.inquiries(1), "--output", str(out))
    refused = cli(*command, env=as_source)
    (tmp_path / "out.checkpoint").unlink()

    assert refused.code == 3
    assert not out.exists()
    assert cli(*command, env=as_source).code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_interrupted_run_prints_its_counts(cli, as_source, tmp_path, number, code):
    out, sandbox = tmp_path / "out", cli.sandbox
    sandbox.latency = 0.2
    process = cli.start(
        *("fetch", *cli.inquiries(60), "--output", str(out), "--concurrency", "4"),
        env=as_source,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: out.exists() and out.read_bytes().count(b"\n") > 3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert b"fetched " in err
    assert b"Traceback" not in err


@pytest.mark.slow
def test_full_disk_stops_the_run_with_8_and_its_counts(cli, as_source, tmp_path):
    ids = cli.inquiries(5)
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device
        process = cli.start(
            "fetch", *ids, env=as_source, stdout=full, stderr=subprocess.PIPE
        )
        _, err = process.communicate(timeout=60)

    assert process.returncode == 8
    assert b"No space left" in err
    assert b"fetched 0" in err
    assert b"Traceback" not in err


# ── Ids ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_ids_are_read_as_windows_programs_write_them(cli, as_source, tmp_path, coding):
    ids, file = cli.inquiries(3), tmp_path / "ids"
    file.write_bytes(("\r\n".join(ids) + "\r\n").encode(coding))
    ended = cli("fetch", "--ids", str(file), env=as_source)

    if coding == "utf-16-le":  # without a mark it cannot be known
        assert ended.code == 2
        assert "not a text file of ids" in ended.err
        return
    assert ended.code == 0, ended.err
    assert len(ended.out.splitlines()) == 3


@pytest.mark.slow
def test_ids_from_a_pipe_are_read_once(cli, as_source, tmp_path):
    ids, pipe = cli.inquiries(4), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("\n".join(ids),))
    writer.start()
    named = cli("fetch", "--ids", str(pipe), env=as_source)
    writer.join()
    stdin = cli("fetch", "--ids", "-", stdin="\n".join(ids), env=as_source)
    device = cli("fetch", "--ids", "/dev/stdin", stdin="\n".join(ids), env=as_source)

    for ended in (named, stdin, device):
        assert ended.code == 0, ended.err
        assert len(ended.out.splitlines()) == 4


@pytest.mark.parametrize("coding", ["cp1252", "ascii"])
def test_narrow_terminal_shows_escapes(cli, as_source, coding):
    (inquiry,) = cli.inquiries(1)
    ended = cli("get", inquiry, env={**as_source, "PYTHONIOENCODING": coding})

    assert ended.code == 0, ended.err


def test_list_prints_ids_that_fetch_reads(cli, as_source, tmp_path):
    created = set(cli.inquiries(3))
    listed = cli("list", "inquiries", "--limit", "3", env=as_source)
    (tmp_path / "ids").write_text(listed.out)
    ended = cli("fetch", "--ids", str(tmp_path / "ids"), env=as_source)

    assert listed.code == ended.code == 0, listed.err + ended.err
    assert set(listed.out.split()) == created
    assert {json.loads(line)["id"] for line in ended.out.splitlines()} == created


# ── Codes ───────────────────────────────────────────────────────────────────────


def test_authorize_is_a_code_command(cli, sandbox, tmp_path):
    ids = cli.inquiries(3)
    partner = tmp_path / "key"
    partner.write_text(sandbox.source.api_key)
    partner.chmod(0o600)
    command = (
        f"{cli.command} authorize --client-id {sandbox.destination.id} "
        f"--api-key-file {partner} --scope-file - --print code"
    )
    ended = cli("fetch", *ids, "--code-command", command)

    assert ended.code == 0, ended.err
    assert len(ended.out.splitlines()) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "exit code 3"), ("echo two words", "printed 2 words")],
)
def test_failing_code_command_is_explained(cli, tmp_path, script, message):
    command = tmp_path / "ask"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o700)
    ended = cli(
        *("fetch", *cli.inquiries(1), "--code-command", str(command)),
        *("--max-outage", "1"),
    )

    assert ended.code == 8
    assert message in ended.err
    assert "with --output or --into it continues" in ended.err


@pytest.mark.parametrize(
    "options",
    [
        ("--failures", "ids.txt"),
        ("--output", "rows", "--failures", "rows"),
        ("--output", "rows", "--failures", "rows.checkpoint"),
        ("--output", "rows", "--checkpoint", "ids.txt"),
    ],
)
def test_file_with_two_purposes_is_refused(cli, as_source, tmp_path, options):
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(cli.inquiries(1)))
    paths = [x if x.startswith("--") else str(tmp_path / x) for x in options]
    ended = cli("fetch", "--ids", str(ids), *paths, env=as_source)

    assert ended.code == 2
    assert "name" in ended.err
    assert ids.read_text().startswith("inq_")


def test_two_scopes_are_refused(cli, as_source, sharing, tmp_path):
    file = tmp_path / "scope"
    file.write_text("inquiry.read:inq_1")
    scopes = ("--scope", "inquiry.read:inq_2", "--scope-file", str(file))
    ended = cli("authorize", *sharing, *scopes, "--print", "code", env=as_source)

    assert ended.code == 2
    assert "--scope or --scope-file" in ended.err


def test_standard_input_is_not_read_for_two_options(cli):
    ended = cli("fetch", "--ids", "-", "--api-key-file", "-", stdin="inq_1\n")

    assert ended.code == 2
    assert "Standard input can be read once" in ended.err


# ── Files of keys ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [0o400, 0o444])
def test_mounted_secret_is_read(cli, sandbox, tmp_path, mode):
    folder = tmp_path / "..2026"
    folder.mkdir()
    (tmp_path / "..data").symlink_to("..2026")
    (folder / "key").write_text(sandbox.source.api_key)
    (folder / "key").chmod(mode)
    (tmp_path / "key").symlink_to("..data/key")
    ended = cli("get", *cli.inquiries(1), "--api-key-file", str(tmp_path / "key"))

    assert ended.code == 0, ended.err


def test_pipe_as_key_file_is_refused(cli, tmp_path):
    os.mkfifo(tmp_path / "key")
    ended = cli("limits", "--api-key-file", str(tmp_path / "key"))

    assert ended.code == 3
    assert "not a file but a pipe" in ended.err


@pytest.mark.parametrize("option", ["--output", "--failures"])
def test_file_that_others_can_read_gets_mode_0600(cli, as_source, tmp_path, option):
    path = tmp_path / "people"
    path.touch(0o644)
    path.chmod(0o644)
    ended = cli("fetch", *cli.inquiries(1), option, str(path), env=as_source)

    assert ended.code == 0, ended.err
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"Other users can read {path}: its mode becomes 0600." in ended.err


@pytest.fixture(params=["a device", "a pipe", "a symbolic link", "a folder"])
def irregular(request, tmp_path):
    """Return a path that is no regular file, and the kind of its file."""
    path = tmp_path / "out"
    if request.param == "a device":
        path = "/dev/null"
    elif request.param == "a pipe":
        os.mkfifo(path)
    elif request.param == "a folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    return str(path), request.param


@pytest.mark.parametrize("option", ["--output", "--failures"])
def test_path_that_is_not_a_regular_file_is_refused(
    cli, sandbox, as_source, option, irregular
):
    path, kind = irregular
    ended = cli("fetch", *cli.inquiries(1), option, path, env=as_source)

    assert ended.code == 2
    assert f"{option}: {path} is {kind}, not a file" in ended.err
    assert not os.path.lexists(f"{path}.checkpoint")
    assert sandbox.log.count() == 0


def test_output_dash_is_standard_output(cli, as_source):
    (object_id,) = cli.inquiries(1)
    ended = cli("fetch", object_id, "--output", "-", env=as_source)

    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["id"] == object_id


@pytest.mark.parametrize("option", ["--files", "--pdf"])
def test_rerun_that_adds_files_is_refused(cli, as_source, tmp_path, option):
    ids, out = cli.inquiries(2), tmp_path / "out"
    command = ("fetch", *ids, "--output", str(out))
    cli(*command, env=as_source)
    before = out.read_bytes()
    refused = cli(*command, option, str(tmp_path / "saved"), env=as_source)

    assert refused.code == 2
    assert (
        f"without files, and this run would save them with {option[2:]}" in refused.err
    )
    assert "pass another --checkpoint" in refused.err
    assert cli(*command, env=as_source).code == 0
    assert out.read_bytes() == before


def test_no_code_is_exchanged_when_another_copy_uses_the_folder(cli, tmp_path):
    code, into = tmp_path / "code", tmp_path / "people"
    code.write_text("code")
    code.chmod(0o600)
    into.mkdir()
    with (into / ".checkpoint.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = cli("copy", "inq_1", "--into", str(into), "--code-file", str(code))

    assert ended.code == 8
    assert "in use by another fetch" in ended.err
    assert cli.sandbox.log.count() == 0


@pytest.mark.parametrize("refused", ["output", "checkpoint", "ids"])
def test_no_code_is_exchanged_when_a_file_is_refused(cli, tmp_path, refused):
    code, path = tmp_path / "code", tmp_path / "refused"
    code.write_text("code")
    code.chmod(0o600)
    path.write_bytes(b"\xff of another program")
    files = {f"--{refused}": path, "--output": path, "--code-file": code}
    if refused != "output":
        files["--output"] = tmp_path / "out"
    ended = cli("fetch", *(x for pair in files.items() for x in pair))

    assert ended.code in {2, 8}, ended.err
    assert cli.sandbox.log.count() == 0
