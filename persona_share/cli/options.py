"""Options that several commands share, and the secrets that they name.

Secrets never come from an argument: every user of the machine can read those.
"""

import functools
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import attrs
import rich_click as click
from click import get_current_context
from click.core import ParameterSource

from persona_share import PersonaClient, Secret
from persona_share._transport.private_files import create_private, require_private
from persona_share.batch.batch import MAX_OUTAGE
from persona_share.cli.exit_codes import AUTHENTICATION, fail, standard_input
from persona_share.errors import InvalidArgumentError
from persona_share.model.policy import CONCURRENCY, OBJECTS_PER_TOKEN
from persona_share.partner.input_files import read_file, text_of


F = TypeVar("F", bound=Callable[..., Any])

KEY: Final = "PERSONA_API_KEY"
_MAX_BYTES: Final = 64 * 1024
#: No code, token or key is longer.
_MAX_SECRET: Final = 8 * 1024


def decorated(command: Callable[..., Any], *options: Any) -> Callable[..., Any]:
    """Add options to a command; ``--help`` lists them in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def is_argument(name: str) -> bool:
    """Return whether an option was given as an argument, not by its variable."""
    context = get_current_context()
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


# ── The client ──────────────────────────────────────────────────────────────────


@attrs.frozen(kw_only=True)
class ClientOptions:
    """The address of the service, and the file of the API key."""

    api_key_file: str | None
    base_url: str | None
    insecure_local: bool
    proxy: str | None
    trust_env: bool
    timeout: float
    as_json: bool

    def key(self) -> Secret:
        """Return the API key of this organization."""
        return read_secret("API key", self.api_key_file, "--api-key-file", KEY)

    def client(self, key: Secret | None = None) -> PersonaClient:
        """Return a client with this key, or with the organization's own."""
        options: dict[str, Any] = {"api_key": key or self.key()}
        if self.base_url:
            options["base_url"] = self.base_url
        if self.proxy:
            options["proxy"] = Secret(self.proxy)
        if self.insecure_local:
            options["insecure_local"] = True
        return PersonaClient.from_env(
            timeout=self.timeout, trust_env=self.trust_env, **options
        )


def with_json(command: F) -> F:
    """Add ``--json``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        envvar="PERSONA_JSON",
        help="Print JSON with stable keys.",
    )(command)


def with_client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `ClientOptions`, and pass them as one value."""
    names = [field.name for field in attrs.fields(ClientOptions)]

    @functools.wraps(command)
    def wrapped(*arguments: Any, **given: Any) -> Any:
        proxy = given["proxy"]
        if proxy and "@" in proxy and is_argument("proxy"):
            fail("Pass a proxy URL with a password in PERSONA_PROXY, not as an option.")
        _require_one_reader()
        options = ClientOptions(**{name: given.pop(name) for name in names})
        return command(options, *arguments, **given)

    return decorated(
        wrapped,
        click.option(
            "--api-key-file",
            metavar="FILE",
            envvar="PERSONA_API_KEY_FILE",
            help=f"File with the API key, - for stdin; without it, {KEY} is read.",
        ),
        click.option(
            "--base-url",
            metavar="URL",
            envvar="PERSONA_BASE_URL",
            help="Address of the API.",
        ),
        click.option(
            "--insecure-local",
            is_flag=True,
            allow_from_autoenv=False,
            help="Allow plain http to this machine, for a sandbox. The variable"
            " PERSONA_INSECURE_LOCAL=1 does the same, or names the hosts to allow.",
        ),
        click.option(
            "--proxy",
            metavar="URL",
            envvar="PERSONA_PROXY",
            help="Proxy; one with a password must be set as PERSONA_PROXY.",
        ),
        click.option(
            "--trust-env",
            is_flag=True,
            envvar="PERSONA_TRUST_ENV",
            help="Use the proxy of HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        ),
        click.option(
            "--timeout",
            default=100.0,
            show_default=True,
            envvar="PERSONA_TIMEOUT",
            type=click.FloatRange(min=0, min_open=True),
            help="Time limit of one call, in seconds.",
        ),
        with_json,
    )


# ── Batches ─────────────────────────────────────────────────────────────────────


def with_batch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `fetch` and `copy` have in common."""
    at_least_1 = click.IntRange(min=1)

    @functools.wraps(command)
    def wrapped(*arguments: Any, **given: Any) -> Any:
        if given["ids"] and given["ids_file"]:
            if is_argument("ids_file"):
                fail("Pass ids or --ids, not both.")
            given["ids_file"] = None
        if given.get("output") == "-":
            given["output"] = None
        _require_own_files(given)
        advice = " Leave it out to write to standard output."
        _require_regular("--output", given.get("output"), advice)
        _require_regular("--failures", given["failures_file"])
        for name in ("into", "files", "pdf"):
            folder = given.get(name)
            if isinstance(folder, str) and not _may_be_folder(Path(folder)):
                fail(f"--{name}: {folder} is not a folder.")
        return command(*arguments, **given)

    return decorated(
        wrapped,
        click.argument("ids", nargs=-1),
        click.option(
            "--ids",
            "ids_file",
            metavar="FILE",
            help="File of ids, one per line, - for stdin.",
        ),
        click.option(
            "--failures",
            "failures_file",
            metavar="FILE",
            help="Write every failed id with its error, one JSON object per line.",
        ),
        click.option(
            "--concurrency",
            default=CONCURRENCY,
            show_default=True,
            type=at_least_1,
            help="Number of concurrent calls.",
        ),
        click.option(
            "--file-concurrency",
            default=16,
            show_default=True,
            type=at_least_1,
            help="Number of concurrent downloads.",
        ),
        click.option(
            "--objects-per-token",
            default=OBJECTS_PER_TOKEN,
            show_default=True,
            type=at_least_1,
            help="Number of objects that share a code.",
        ),
        click.option(
            "--max-outage",
            default=MAX_OUTAGE,
            show_default=True,
            type=click.FloatRange(min=0, min_open=True),
            help="Stop when nothing has worked for this long, in seconds; the next run"
            " continues.",
        ),
        click.option("--quiet", is_flag=True, help="Show no progress."),
    )


def _require_own_files(given: dict[str, Any]) -> None:
    """Refuse a file with two purposes: each would overwrite what the other needs."""
    seen: dict[str, str] = {}
    for name in ("ids_file", "output", "checkpoint", "failures_file"):
        path = given.get(name)
        if path and path != "-":
            option = "--" + name.removesuffix("_file")
            other = seen.setdefault(os.path.realpath(path), option)
            if other != option:
                fail(f"{other} and {option} name the same file.")
            if name == "output" and not given.get("checkpoint"):
                seen[os.path.realpath(f"{path}.checkpoint")] = "the checkpoint"


def _require_regular(option: str, path: str | None, advice: str = "") -> None:
    """Refuse to write to a device or a pipe: the next run could not continue it."""
    if path is None:
        return
    try:
        if require_private(Path(path)):
            click.echo(f"Other users can read {path}: its mode becomes 0600.", err=True)
    except InvalidArgumentError as error:
        fail(f"{option}: {error.what}.{advice}")


def _may_be_folder(path: Path) -> bool:
    """Return whether a path is a folder, or could become one."""
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
    return existing.is_dir()


def _require_one_reader() -> None:
    """Refuse to read two things from standard input: the first takes everything."""
    params = get_current_context().params
    named = [name for name, value in params.items() if value == "-" and "_file" in name]
    if len(named) > 1:
        options = ", ".join("--" + each.removesuffix("_file") for each in sorted(named))
        fail(f"Standard input can be read once, not for several options ({options}).")


# ── Secrets ─────────────────────────────────────────────────────────────────────


def with_reveal(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--reveal`` and ``--force``; no variable sets them."""
    return decorated(
        command,
        click.option(
            "--reveal",
            is_flag=True,
            allow_from_autoenv=False,
            help="Print the secret, to a terminal only.",
        ),
        click.option(
            "--force",
            is_flag=True,
            allow_from_autoenv=False,
            help="Print it even if the output is not a terminal.",
        ),
    )


def read_secret(what: str, file: str | None, option: str, variable: str) -> Secret:
    """Return a secret from its file, ``-`` for standard input, or its variable.

    If there is neither, a terminal asks for it, without an echo.
    """
    if file is not None:
        return Secret(read_secret_lines(what, file)[0])
    if value := os.environ.get(variable):
        return Secret(value.strip())
    stdin: TextIO | None = sys.stdin
    if stdin is None or not stdin.isatty():
        fail(f"There is no {what}: export {variable}=…, or pass {option} FILE.")
    return Secret(click.prompt(what, hide_input=True, err=True))


def read_secret_lines(what: str, file: str) -> list[str]:
    """Return the lines of a secret file, at least one."""
    text = _read(what, None if file == "-" else Path(file))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        fail(f"The {what} is empty.")
    return lines


def write_secret(path: str, secret: Secret) -> None:
    """Write a secret to a new file that only this user can read."""
    with new_secret_file(path) as write:
        write(secret)


@contextmanager
def new_secret_file(path: str | None) -> Iterator[Callable[[Secret], None]]:
    """Create the file of a secret before the secret exists, which works only once.

    The block gets a function that writes it, which does nothing without a path. The
    file is removed if the block fails.
    """
    if path is None:
        yield lambda _: None
        return
    try:
        descriptor = create_private(Path(path))
    except FileExistsError:
        fail(f"{path} already exists and is not overwritten.")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n" * _MAX_SECRET)  # a full disk is noticed now
            file.flush()
            file.seek(0)

            def write(secret: Secret) -> None:
                """Write the secret in the space that is reserved."""
                file.write(secret.reveal() + "\n")
                file.truncate()

            yield write
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise


def require_terminal(*, reveal: bool, force: bool) -> None:
    """Refuse to print a secret into a file or a log by accident."""
    if reveal and not force and not sys.stdout.isatty():
        message = "--reveal would print a secret to something other than a terminal; "
        fail(message + "add --force to do so.")


def _read(what: str, path: Path | None) -> str:
    """Read a file that only its owner and root can write, or standard input."""
    where = "standard input" if path is None else path
    try:
        if path is None:
            stdin = standard_input()
            if stdin.isatty():
                return str(click.prompt(what, hide_input=True, err=True))
            return text_of(stdin.buffer.read(_MAX_BYTES + 1), _MAX_BYTES)
        text, found = read_file(path, _MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        message = f"The {what} in {where} cannot be read: {reason}."
        fail(message, AUTHENTICATION)
    if stat.S_ISREG(found.st_mode) and hasattr(os, "geteuid"):
        _require_protected(path, found)
    return text


def _require_protected(path: Path, found: os.stat_result) -> None:
    """Refuse a file that others may change, or may read without need.

    A file of root, or one without any write permission, was mounted by an operator
    (Kubernetes and Docker secrets), who decides who reads it.
    """
    if found.st_uid not in {os.geteuid(), 0}:
        fail(f"{path} belongs to another user.", AUTHENTICATION)
    mounted = found.st_uid == 0 != os.geteuid() or not found.st_mode & 0o222
    forbidden = 0o022 if mounted else 0o077
    if found.st_mode & forbidden:
        message = f"Others may read or write {path}: chmod 600 {path}"
        fail(message, AUTHENTICATION)
