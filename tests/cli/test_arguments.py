"""Arguments, secret files and standard streams that cannot be used are refused first."""

import json
import os
import subprocess

import pytest

from tests.processes import LONGEST


def run_in_shell(cli, redirection, *arguments, env=None, before=":"):
    """Run the command to its end with a redirection of the shell."""
    words = [
        "sh",
        "-c",
        f'{before}; exec "$0" "$@" {redirection}',
        cli.command,
        *arguments,
    ]
    return subprocess.run(  # noqa: S603  # it is our own command
        words,
        env=cli.environment(env),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", "inq_1", "--output", "out"),
        pytest.param(("exchange", "--token-file", "token"), marks=pytest.mark.slow),
        pytest.param(("completion", "bash"), marks=pytest.mark.slow),
        pytest.param(("--help",), marks=pytest.mark.slow),
    ],
)
def test_command_does_nothing_when_standard_output_is_closed(cli, sandbox, arguments):
    ended = run_in_shell(cli, ">&-", *arguments, env={"PERSONA_CODE": "code"})

    assert ended.returncode == 141
    assert ended.stderr.startswith("Error: Standard output is closed, and nothing")
    assert sandbox.log.count() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", "--ids", "-"),
        ("limits", "--api-key-file", "-"),
        ("authorize", "--client-id", "org_1", "--code-file", "c", "--scope-file", "-"),
        ("webhook", "verify", "--signature", "t=1,v1=0"),
    ],
)
def test_closed_standard_input_is_explained(cli, sandbox, arguments):
    ended = run_in_shell(
        cli, "<&-", *arguments, env={"PERSONA_WEBHOOK_SECRET": "secret"}
    )

    assert ended.returncode == 2
    assert ended.stderr == "Error: Standard input is closed.\n"
    assert sandbox.log.count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("completion", "bash"), ("--help",)])
def test_full_output_is_8(cli, arguments):
    ended = run_in_shell(cli, ">/dev/full", *arguments)

    assert ended.returncode == 8
    assert ended.stderr == "Error: No space left on device\n"


@pytest.mark.slow
def test_closed_error_output_disturbs_nothing(cli, as_source, tmp_path):
    (object_id,), out = cli.inquiries(1), tmp_path / "out"
    ended = run_in_shell(
        cli, "2>&-", "fetch", object_id, "--output", str(out), env=as_source
    )

    assert ended.returncode == 0
    assert object_id in out.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", b"inq_\xff", "--failures", "failures"),
        ("fetch", "inq_1", "--files", b"\xff"),
        ("copy", b"inq_\xff", "--into", "people"),
        ("get", b"inq_\xff"),
        ("limits", "--base-url", b"https://\xff"),
    ],
)
def test_argument_that_is_not_utf_8_is_refused(cli, sandbox, arguments):
    ended = cli(*map(os.fsdecode, arguments))

    assert ended.code == 2
    assert ended.err.rstrip().endswith("it is not UTF-8.")
    assert sandbox.log.count() == 0


@pytest.mark.parametrize("name", ["file", "file/within"])
@pytest.mark.parametrize("option", ["--files", "--pdf", "--into"])
def test_folder_option_that_names_a_file_is_refused(cli, tmp_path, option, name):
    (tmp_path / "file").touch()
    command = "copy" if option == "--into" else "fetch"
    output = ("--output", str(tmp_path / "out")) if command == "fetch" else ()
    ended = cli(command, "inq_1", option, str(tmp_path / name), *output)

    assert ended.code == 2
    assert f"{option}: {tmp_path / name} is not a folder." in ended.err
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]
    assert cli.sandbox.log.count() == 0


def test_tilde_is_the_home_folder_in_every_path(cli, sandbox, as_source, tmp_path):
    inquiry = sandbox.add_inquiry()
    ids = sandbox.add_verification(inquiry=inquiry.id, kind="government-id").id
    (tmp_path / "key").write_text(sandbox.source.api_key)
    (tmp_path / "key").chmod(0o600)
    ended = cli(
        *("fetch", ids, "--files=~/files", "--pdf=~/pdf", "--output=~/out"),
        *("--checkpoint=~/check", "--failures=~/failures", "--api-key-file=~/key"),
        env={"HOME": str(tmp_path), "PERSONA_API_KEY": None},
    )

    assert ended.code == 0, ended.err
    assert {each.name for each in tmp_path.iterdir()} == {
        *("files", "pdf", "out", "check", "failures", "key")
    }


def test_home_of_an_unknown_user_is_refused(cli):
    ended = cli("fetch", "inq_1", "--files=~nobody-known/x")

    assert ended.code == 2
    assert "~nobody-known/x names an unknown user" in ended.err


@pytest.mark.parametrize(
    "from_stdin", [False, pytest.param(True, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("content", "reason"),
    [("a" * 65_537, "it has more than 65536 bytes"), ("\udcff", "it is not UTF-8")],
)
def test_secret_file_that_cannot_be_read_whole_is_refused(
    cli, tmp_path, from_stdin, content, reason
):
    path = tmp_path / "key"
    path.write_text(content, errors="surrogateescape")
    path.chmod(0o600)
    if from_stdin:
        ended = run_in_shell(cli, f"<{path}", "limits", "--api-key-file", "-")
        code, err = ended.returncode, ended.stderr
    else:
        ended = cli("limits", "--api-key-file", str(path))
        code, err = ended.code, ended.err

    assert code == 3
    assert f"cannot be read: {reason}." in err


@pytest.fixture
def code(cli, as_source, sharing):
    """Return a code for one inquiry."""
    command = ("authorize", *sharing, "--print", "code", *cli.inquiries(1))
    created = cli(*command, env=as_source)
    cli.sandbox.log.clear()
    return created.out.strip()


@pytest.mark.parametrize("name", ["existing", "missing/token"])
def test_code_is_not_exchanged_when_its_token_cannot_be_saved(
    cli, code, tmp_path, name
):
    (tmp_path / "existing").write_text("mine")
    command, env = ("exchange", "--token-file"), {"PERSONA_CODE": code}
    refused = cli(*command, str(tmp_path / name), env=env)

    assert (refused.code, cli.sandbox.log.count()) == (2, 0)
    assert (tmp_path / "existing").read_text() == "mine"
    assert cli(*command, str(tmp_path / "token"), env=env).code == 0


@pytest.mark.parametrize("options", [(), ("--print", "code")])
def test_no_code_is_created_when_it_cannot_be_saved(cli, sharing, tmp_path, options):
    path = tmp_path / "code"
    path.write_text("mine")
    command = ("authorize", *sharing, "--code-file", str(path), *options, "inq_1")
    refused = cli(*command)

    assert (refused.code, cli.sandbox.log.count()) == (2, 0)
    assert path.read_text() == "mine"


def test_code_is_not_exchanged_when_the_disk_is_full(cli, code, tmp_path):
    token = tmp_path / "token"
    words = ("exchange", "--token-file", str(token))
    refused = run_in_shell(
        cli, "", *words, env={"PERSONA_CODE": code}, before="ulimit -f 0"
    )

    assert (refused.returncode, cli.sandbox.log.count()) == (8, 0)
    assert not token.exists()


def test_plan_spends_no_code(cli, tmp_path):
    (tmp_path / "code").write_text("code")
    refused = cli("fetch", "--plan", "--code-file", str(tmp_path / "code"))

    assert (refused.code, cli.sandbox.log.count()) == (2, 0)
    assert "which work only once" in refused.err


def test_no_empty_file_is_left_when_the_exchange_fails(cli, tmp_path):
    token = tmp_path / "token"
    ended = cli("exchange", "--token-file", str(token), env={"PERSONA_CODE": "unknown"})

    assert ended.code == 3
    assert not token.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("sandbox", "--port", "65536"),
        ("sandbox", "--port", "-1"),
        pytest.param(
            (
                *("partner", "serve", "--agreements", "a", "--audit", "b"),
                *("--url", "https://share.example/codes", "--port", "65536"),
            ),
            marks=pytest.mark.slow,
        ),
        (
            *("partner", "consent", "grant", "--partner", "org_1", "--by", "form-1"),
            *("--store", "partner.db", "inq_1", "--days", "999999999999"),
        ),
        ("share-tokens", "create", "inq_1", "--connection", "c", "--expires-in", "1e3"),
        (
            *("share-tokens", "create", "inq_1", "--connection", "cxn_1"),
            *("--expires-in", "999999999999999"),
        ),
    ],
)
def test_number_outside_its_range_is_refused(cli, sandbox, arguments):
    ended = cli(*arguments)

    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert arguments[-2] in ended.err
    assert sandbox.log.count() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("limits",), "There is no API key: export PERSONA_API_KEY=…, or pass --api-"),
        (("get", "inq_1", "--bogus"), "No such option"),
        (("authorize", "inq_1"), "Missing option '--client-id'"),
    ],
)
def test_error_about_an_argument_is_json_when_json_is_wanted(cli, arguments, words):
    ended = cli(*arguments, "--json", env={"PERSONA_API_KEY": None})
    shown = json.loads(ended.err)

    assert ended.code == shown["exit_code"] == 2
    assert words in shown["error"]["message"]
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--switch", "nope=1"), "there is no switch 'nope'"),
        (("--fault", "GET /nope=503"), "serves no operation 'GET /nope'"),
        (("--source-key", "secret"), "an API key of the sandbox begins with localbox_"),
    ],
)
def test_unusable_option_of_the_sandbox_is_a_usage_error(cli, arguments, words):
    ended = cli("sandbox", *arguments)

    assert ended.code == 2
    assert words in ended.err


def test_warning_about_an_option_is_one_line(cli, as_source):
    ended = cli("list", "inquiries", "--status", "agreed", env=as_source)

    assert ended.err.startswith("Warning: 'agreed' is not a status that persona_share")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("command", ["get", "doctor"])
def test_command_ends_when_the_reader_of_its_output_has_gone(cli, as_source, command):
    reader, writer = os.pipe()
    os.close(reader)
    ids = cli.inquiries(1) if command == "get" else ()
    with os.fdopen(writer, "wb") as output:
        process = cli.start(
            command, *ids, env=as_source, stdout=output, stderr=subprocess.PIPE
        )
        _, err = process.communicate(timeout=LONGEST)

    assert process.returncode == 141
    assert err == b""
