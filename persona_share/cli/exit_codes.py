"""Exit codes, and the messages of a command that fails."""

import asyncio
import io
import json
import os
import signal
import sys
import warnings
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn, TextIO

import rich_click as click

from persona_share import errors
from persona_share.errors import PersonaError


OK: Final = 0
OTHER: Final = 1
USAGE: Final = 2
AUTHENTICATION: Final = 3
PARTLY: Final = 10
INTERRUPTED: Final = 130
TERMINATED: Final = 143
BROKEN_PIPE: Final = 141

#: The first line that fits an error has its exit code.
_CODES: Final[Sequence[tuple[int, tuple[type[Exception], ...]]]] = (
    (9, (errors.SignatureError,)),
    (
        4,
        (
            errors.CodeRefusedError,
            errors.PermissionDeniedError,
            errors.ScopeNotCoveredError,
            errors.ScopeNotGrantedError,
            errors.ExchangeForbiddenError,
        ),
    ),
    (USAGE, (errors.UsageError, errors.CheckpointMismatchError, UnicodeError)),
    (
        7,
        (
            errors.RateLimitedError,
            errors.QuotaExceededError,
            errors.ExchangeRateLimitedError,
        ),
    ),
    (5, (errors.NotFoundError,)),
    (
        6,
        (
            errors.ConflictError,
            errors.RedemptionFailedError,
            errors.ShareTokenExpiredError,
            errors.OutcomeUnknownError,
        ),
    ),
    (
        8,
        (
            errors.TransportError,
            errors.ServerError,
            errors.ExchangeUnavailableError,
            errors.ExchangeProtocolError,
            errors.CodeDeliveryError,
            errors.CodeSourceError,
            errors.RedemptionPendingError,
            errors.StoreUnavailableError,
            errors.OutageError,
            OSError,
            errors.MalformedResponseError,
            errors.UnexpectedContentTypeError,
            errors.UnexpectedRedirectError,
        ),
    ),
    (
        AUTHENTICATION,
        (errors.AuthenticationError, errors.TokenError, errors.StoreRefusedError),
    ),
)


class CliError(click.ClickException):
    """A refusal of the command line itself, with its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        vars(self)["exit_code"] = exit_code  # click has it as the class's


def fail(message: str, exit_code: int = USAGE) -> NoReturn:
    """Stop the command with a message."""
    raise CliError(message, exit_code)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of an error."""
    if isinstance(error, click.ClickException):
        return error.exit_code
    if isinstance(error, TimeoutError):  # also of our own errors that are one
        return 8
    return next((code for code, kinds in _CODES if isinstance(error, kinds)), OTHER)


#: The library's advice about arguments, in terms of options.
_IN_OPTIONS: Final = (
    ("pass another checkpoint", "pass another --checkpoint"),
    ("use another checkpoint", "pass another --checkpoint"),
    ("insecure_local=True", "--insecure-local"),
    ("``max_outage``", "--max-outage"),
    ("file_hosts=", "--file-host"),
    ("allowed_hosts=", "--base-url"),
    ("permission=", "--permission"),
    ("proxy=", "--proxy"),
    ("Scope.of('….read', id)", "--scope '….read:id'"),
    ("the URL that you passed", "--url"),
    (", or pass the value to PartnerCodeSource", ""),
    ("with a checkpoint it continues", "with --output or --into it continues"),
)
_ADVICE: Final[Sequence[tuple[type[PersonaError], str]]] = (
    (
        errors.AuthorizationCodeRequiredError,
        "Pass --code-file, --code-command or --client-id for these ids.",
    ),
    (errors.NotOpenError, ""),
)


def advice_of(error: PersonaError) -> str:
    """Return the advice of an error in terms of the command line."""
    if isinstance(error, errors.CodeSourceError):
        return _advice_of_source(error)
    for kind, advice in _ADVICE:
        if isinstance(error, kind):
            return advice
    return _in_options(error.advice)


def _advice_of_source(error: errors.CodeSourceError) -> str:
    if error.reason == "CommandError":
        return "Run the --code-command by hand, with a scope on stdin."
    if isinstance(error.__cause__, errors.NotFoundError):
        return "Check the ID; with --client-id, the source organization must own the object."
    if isinstance(error.__cause__, errors.ApiError) and not error.retryable:
        return "Check --client-id and the source organization's API key."
    return _in_options(error.advice)


def message_of(error: BaseException) -> str:
    """Return an error as one line for a terminal."""
    if isinstance(error, PersonaError):
        text = str(error)
        if error.advice and text.endswith(error.advice):
            text = text[: -len(error.advice)] + advice_of(error)
    elif isinstance(error, click.ClickException):
        text = " ".join(error.format_message().split())
    elif isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    else:
        reason = error.strerror if isinstance(error, OSError) else None
        text = reason or str(error)
    return printable(_in_options(text))


def _in_options(text: str) -> str:
    for python, option in _IN_OPTIONS:
        text = text.replace(python, option)
    return text


def facts_of(error: BaseException) -> dict[str, Any]:
    """Return an error as ``--json`` shows it; the keys are always the same."""
    known = error if isinstance(error, PersonaError) else None
    return {
        "type": type(error).__name__,
        "message": _in_options(known.what) if known else message_of(error),
        "operation": known.operation if known else None,
        "phase": known.phase.name.lower() if known else None,
        "status": known.status if known else None,
        "request_id": known.request_id if known else None,
        "retry_after": known.retry_after if known else None,
        "retryable": known.retryable if known else False,
        "advice": advice_of(known) if known else "",
    }


def run(work: Coroutine[Any, Any, int | None], *, as_json: bool) -> NoReturn:
    """Run a command to its end, print what went wrong, and exit."""
    terminated = False

    async def until_terminated() -> int | None:
        nonlocal terminated
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # it runs in one

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        with suppress(NotImplementedError, RuntimeError):  # where signals are unknown
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await work

    try:
        code = asyncio.run(until_terminated()) or OK
        sys.stdout.flush()
    except asyncio.CancelledError:
        if not terminated:
            raise
        click.echo("Terminated.", err=True)
        code = TERMINATED
    except BrokenPipeError:
        code = BROKEN_PIPE
    except (PersonaError, OSError) as error:
        code = exit_code_of(error)
        if as_json:
            _print_error(error, code)
        else:
            click.echo(f"Error: {message_of(error)}", err=True)
    raise SystemExit(code)


def _print_error(error: Exception, code: int) -> None:
    print_json({"error": facts_of(error), "exit_code": code}, err=True)


def print_json(value: object, *, err: bool = False) -> None:
    """Print one JSON value on one line."""
    click.echo(json.dumps(value, default=str), err=err)


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, which is in the plural unless the count is 1."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def show_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows below a header, one line each, in columns that line up."""
    texts = [[printable(each) for each in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def printable(value: object) -> str:
    """Return a text without characters that a terminal would interpret."""
    return "".join(each if each.isprintable() else "?" for each in str(value))


def standard_input() -> TextIO:
    """Return standard input, or stop the command if it is closed."""
    stream: TextIO | None = sys.stdin
    return stream or fail("Standard input is closed.")


def run_app(app: click.RichCommand) -> int:
    """Run the program and return its exit code, whatever ends it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # no other file may get the number of a closed stream
            os.open(os.devnull, os.O_RDWR)
    stdout: TextIO | None = sys.stdout
    if stdout is None:
        text = "Error: Standard output is closed, and nothing was done: add >/dev/null."
        click.echo(text, err=True)
        return BROKEN_PIPE
    code = _run_app(app)
    if sys.stdout is not stdout:  # click replaces it when its reader has gone
        code = BROKEN_PIPE
    try:
        stdout.flush()
    except OSError as error:
        # The rest of the buffer must not raise again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        if code == OK:
            return _shown(error)
    return code


def _shown(error: Exception) -> int:
    """Print an error, and return its exit code."""
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    code = exit_code_of(error)
    if _wants_json():
        _print_error(error, code)
    elif isinstance(error, click.ClickException):
        error.show()
    else:
        click.echo(f"Error: {message_of(error)}", err=True)
    return code


def _run_app(app: click.RichCommand) -> int:
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a pipe with a narrow encoding shows escapes, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except SystemExit as done:
        code = done.code
    except (click.ClickException, PersonaError, OSError) as error:
        return _shown(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    return code if isinstance(code, int) else OK


def _wants_json() -> bool:
    """Return whether ``--json`` was given; the arguments may be unusable."""
    flag = os.environ.get("PERSONA_JSON", "").lower()
    return "--json" in sys.argv or flag in {"1", "true", "t", "yes", "y", "on"}


def _show_warning(message: Warning | str, *_place: Any, **_more: Any) -> None:
    click.echo(f"Warning: {printable(message)}", err=True)
