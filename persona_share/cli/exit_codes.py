"""How a command ends: what it prints when something failed, and its exit code."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NoReturn

import rich_click as click

from persona_share import errors
from persona_share.errors import PersonaError


OK: Final = 0
OTHER: Final = 1
USAGE: Final = 2
AUTHENTICATION: Final = 3
PARTLY: Final = 10
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

#: The first line that fits says the exit code.
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
    """A reason of the command's own to stop, with its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        vars(self)["exit_code"] = exit_code  # click has it as the class's


def fail(message: str, exit_code: int = USAGE) -> NoReturn:
    """End the command with a message, before anything was sent."""
    raise CliError(message, exit_code)


def exit_code_of(error: BaseException) -> int:
    """Answer the exit code that an error ends with."""
    if isinstance(error, TimeoutError):  # also of our own errors that are one
        return 8
    return next((code for code, kinds in _CODES if isinstance(error, kinds)), OTHER)


def facts_of(error: BaseException) -> dict[str, Any]:
    """Answer an error as ``--json`` shows it; the keys are always the same."""
    known = error if isinstance(error, PersonaError) else None
    return {
        "type": type(error).__name__,
        "message": known.what if known else str(error),
        "operation": known.operation if known else None,
        "phase": known.phase.name.lower() if known else None,
        "status": known.status if known else None,
        "request_id": known.request_id if known else None,
        "retry_after": known.retry_after if known else None,
        "retryable": known.retryable if known else False,
        "advice": known.advice if known else "",
    }


def run(work: Coroutine[Any, Any, int | None], *, as_json: bool) -> NoReturn:
    """Run a command to its end, say what went wrong, and exit."""
    try:
        code = asyncio.run(work) or OK
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more; what is left in the buffer must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except (PersonaError, OSError) as error:
        code = exit_code_of(error)
        if as_json:
            print_json({"error": facts_of(error), "exit_code": code}, err=True)
        else:
            click.echo(f"Error: {error}", err=True)
    raise SystemExit(code)


def print_json(value: object, *, err: bool = False) -> None:
    """Print one JSON value on one line."""
    click.echo(json.dumps(value, default=str), err=err)


def printable(value: object) -> str:
    """Answer a text of the service's as a terminal may have it (T30)."""
    return "".join(each if each.isprintable() else "?" for each in str(value))


def run_app(app: click.RichCommand) -> int:
    """Run the program and answer its exit code, whatever ends it."""
    try:
        code = app(standalone_mode=False)
    except SystemExit as done:
        code = done.code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    return code if isinstance(code, int) else OK
