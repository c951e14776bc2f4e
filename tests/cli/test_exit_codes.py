"""Exit codes, interrupts, broken pipes, terminals and secrets of commands."""

import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from persona_share.cli.app import app


WAITING = 30


def wait_until(reached):
    """Wait in real time until a condition holds in another process."""
    ends = time.monotonic() + WAITING  # noqa: TID251  # a real process is waited for
    while not (found := reached()):
        assert time.monotonic() < ends, "it never came"  # noqa: TID251  # as above
        time.sleep(0.01)
    return found


def error_of(ended):
    return json.loads(ended.err)["error"]["type"]


# ── Exit codes ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, 4, "PermissionDeniedError"),  # tests/docs/test_failing.py has them all
        (429, 7, "RateLimitedError"),
    ],
)
def test_each_status_has_its_exit_code(cli, sandbox, status, code, kind):
    headers = {"Retry-After": "3600"} if status == 429 else {}
    sandbox.faults.answer("GET /rate-limits", status, times=None, headers=headers)
    ended = cli("limits", "--json")

    assert (ended.code, error_of(ended)) == (code, kind)
    assert json.loads(ended.err)["exit_code"] == code


def test_no_connection_is_8_and_the_keys_of_an_error_are_always_the_same(cli):
    ended = cli(
        "limits", "--json", env={"PERSONA_BASE_URL": "http://127.0.0.1:1/api/v1"}
    )

    assert ended.code == 8
    assert set(json.loads(ended.err)["error"]) == {
        *("type", "message", "operation", "phase", "status", "request_id"),
        *("retry_after", "retryable", "advice"),
    }


def test_partly_failed_is_10_and_wholly_failed_is_the_reason(cli, as_source):
    (inquiry,) = cli.inquiries(1)
    partly = cli("get", inquiry, "inq_unknown", "--json", env=as_source)
    wholly = cli("get", "inq_unknown", "--json", env=as_source)

    assert (partly.code, wholly.code) == (10, 5)
    assert [each["id"] for each in partly.value["failed"]] == ["inq_unknown"]


def test_slip_is_2(cli):
    both = cli.installed("get", "inq_1", "--token-file", "a", "--code-file", "b")
    assert both.code == 2
    assert cli("nonsense").code == 2


# ── F145 ────────────────────────────────────────────────────────────────────────


def test_f145_command_does_not_prompt_without_a_terminal(cli):
    assert "HOME" not in cli.env  # of any command in these tests
    ended = cli("limits", env={"PERSONA_API_KEY": None})

    assert ended.code == 2
    assert "PERSONA_API_KEY" in ended.err


def test_f145_file_that_others_may_read_is_refused(cli, tmp_path):
    token = tmp_path / "token"
    token.write_text("localbox_canary")
    token.chmod(0o644)
    ended = cli("get", "inq_1", "--token-file", str(token))

    assert ended.code == 3
    assert "chmod 600" in ended.err
    assert "localbox_canary" not in ended.err
    assert len(cli.sandbox.log) == 0


def test_f145_command_ends_when_its_output_is_closed(cli, as_source):
    process = cli.start(
        *("fetch", *cli.inquiries(200), "--quiet"),
        env=as_source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.read(10)
    process.stdout.close()
    _, err = process.communicate(timeout=60)

    assert process.returncode == 141
    assert err == b""


@pytest.mark.slow
def test_f145_interrupted_fetch_can_be_continued(cli, sharing, sandbox, tmp_path):
    output, ids = tmp_path / "people.jsonl", cli.inquiries(60)
    sandbox.latency = 0.2
    command = ("fetch", *ids, *sharing, "--output", str(output), "--concurrency", "4")
    process = cli.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: output.exists() and output.read_bytes().count(b"\n") > 5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    sandbox.latency = 0.0
    again = cli(*command, "--json")

    assert process.returncode == 130
    assert again.code == 0
    assert again.value["skipped"] > 5
    lines = [json.loads(line)["id"] for line in output.read_text().splitlines()]
    assert sorted(lines) == sorted(ids)


@pytest.mark.slow
def test_f145_interrupt_waits_for_an_exchange_that_was_sent(
    cli, as_source, sandbox, tmp_path
):
    code, token = tmp_path / "code", tmp_path / "token"
    (inquiry,) = cli.inquiries(1)
    made = ("authorize", "--client-id", sandbox.destination.id, inquiry)
    cli(*made, "--code-file", str(code), env=as_source)
    sandbox.faults.delay("POST /oauth/token", 2.0)
    process = cli.start(
        *("exchange", "--code-file", str(code), "--token-file", str(token)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: not sandbox.faults.pending)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert cli("get", inquiry, "--token-file", str(token)).code == 0


# ── A terminal ──────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_terminal_shows_a_bar_with_rate_rest_and_window(cli, sharing, tmp_path):
    ids = tmp_path / "ids"
    ids.write_text("\n".join(cli.inquiries(50)))
    shown = on_a_terminal(
        cli, "fetch", "--ids", str(ids), *sharing, "--output", str(tmp_path / "out")
    )

    assert "50/50" in shown
    assert "/s" in shown
    assert "left" in shown
    assert "window" in shown


def on_a_terminal(cli, *arguments):
    """Run a command on a pseudo-terminal and return its output."""
    ours, theirs = pty.openpty()
    env = {"TERM": "xterm", "COLUMNS": "120"}
    process = cli.start(*arguments, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the terminal is gone when the command is
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait(60) == 0, shown
    return shown.decode()


@pytest.mark.slow
def test_progress_has_no_bar_without_a_terminal(cli, sharing):
    ended = cli("fetch", *cli.inquiries(3), *sharing)

    assert "window" not in ended.err
    assert "\x1b" not in ended.err + ended.out


# ── Secrets ─────────────────────────────────────────────────────────────────────


def test_secret_from_a_terminal_is_not_shown_there(cli, as_source):
    ours, theirs = pty.openpty()
    process = cli.start(
        *("limits", "--api-key-file", "-"),
        env={"PERSONA_API_KEY": None},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # no other terminal
    )
    os.close(theirs)
    key, shown = as_source["PERSONA_API_KEY"], b""
    with suppress(OSError):  # the terminal is gone when the command is
        while piece := os.read(ours, 4096):
            shown += piece
            if shown.endswith(b"API key: "):
                os.write(ours, f"{key}\n".encode())
    os.close(ours)

    assert process.wait(60) == 0, shown
    assert b"per minute" in shown
    assert key.encode() not in shown


def processes_below(process):
    """Yield the processes that this one has started, and theirs."""
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield child
                yield from processes_below(child)


@pytest.mark.slow
@pytest.mark.needs("linux")
def test_no_process_shows_a_secret_and_no_output_does(cli, sandbox, sharing, tmp_path):
    ids = cli.inquiries(20)
    sandbox.latency = 0.05
    lines, stop = set(), threading.Event()

    def look():
        while not stop.wait(0.02):
            for each in processes_below(os.getpid()):
                with suppress(OSError):
                    lines.add(Path(f"/proc/{each}/cmdline").read_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        output = ("--output", str(tmp_path / "out"))
        fetched = cli.installed("fetch", *ids, *sharing, *output)
        shown = cli.installed("get", *ids[:2], *sharing, "--json")
        doctor = cli.installed("doctor", "--json")
    finally:
        stop.set()
        looking.join()
    canaries = [
        sandbox.source.api_key,
        sandbox.destination.api_key,
        "access_token=",
        "localbox_",
    ]
    canaries += [each.value for each in sandbox._state.grants._codes.values()]
    canaries += list(sandbox._state.grants._tokens)
    seen = b"".join(lines).decode(errors="replace")
    printed = "".join(each.out + each.err for each in (fetched, shown, doctor))

    assert any(b"persona-share" in line for line in lines)
    assert len(canaries) > 6
    assert [each for each in canaries if each in seen + printed] == []


def test_secret_is_printed_on_demand_to_a_terminal_alone(cli, as_source, sandbox):
    (inquiry,) = cli.inquiries(1)
    command = ("authorize", "--client-id", sandbox.destination.id, inquiry)

    assert cli(*command, env=as_source).code == 2  # the code would be lost
    assert cli(*command, "--reveal", env=as_source).code == 2
    assert sandbox.log.codes_issued == 0
    forced = cli(*command, "--reveal", "--force", "--json", env=as_source)
    assert forced.value["code"] in sandbox._state.grants._codes


def test_no_option_takes_a_secret():
    for command in ("limits", "exchange", "get", "fetch", "authorize"):
        given = CliRunner().invoke(app, [command, "--api-key", "localbox_canary"])

        assert given.exit_code == 2
        assert "No such option" in given.output


@pytest.mark.parametrize(
    ("command", "counts"), [("fetch", "fetched 0, failed "), ("copy", "copied 0, ")]
)
def test_report_is_printed_when_the_failures_file_cannot_be_written(
    cli, as_source, tmp_path, command, counts
):
    failures, ids = tmp_path / "failures", [f"inq_{number}" for number in range(350)]
    into = ["--into", str(tmp_path / "people")] if command == "copy" else []
    process = cli.start(
        *(command, *ids, *into, "--failures", str(failures)),
        env=as_source,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (120_000, 120_000))
    _, err = process.communicate(timeout=WAITING)

    assert process.returncode == 8
    assert counts in err.decode()
    assert f"Error: {failures}: File too large" in err.decode()


@pytest.mark.parametrize("option", ["--output", "--failures"])
def test_file_that_another_run_writes_is_refused_and_unchanged(
    cli, as_source, tmp_path, option
):
    path = tmp_path / "file"
    path.touch(0o600)
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = cli("fetch", *cli.inquiries(1), option, str(path), env=as_source)

    assert ended.code == 8
    assert f"{path} is in use by another fetch" in ended.err
    assert path.stat().st_size == 0
