"""Secrets from the environment, from a file, or from standard input.

They never come from an argument: every user of the machine can read those.
"""

import os
import stat
import sys
from pathlib import Path
from typing import Final

import rich_click as click

from persona_share import Secret
from persona_share.cli.exit_codes import AUTHENTICATION, fail


_MOST_BYTES: Final = 64 * 1024
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def read_secret(what: str, file: str | None, variable: str) -> Secret:
    """Return a secret from its file, ``-`` for standard input, or its variable.

    If there is neither, a terminal asks for it, without an echo.
    """
    if file is not None:
        return Secret(read_secret_lines(what, file)[0])
    if value := os.environ.get(variable):
        return Secret(value.strip())
    if not sys.stdin.isatty():
        fail(f"There is no {what}: set {variable} or pass a file (- for stdin).")
    return Secret(click.prompt(what, hide_input=True, err=True))


def read_secret_lines(what: str, file: str) -> list[str]:
    """Return the lines of a secret file, at least one."""
    text = sys.stdin.read(_MOST_BYTES) if file == "-" else _read(what, Path(file))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        fail(f"The {what} is empty.")
    return lines


def write_secret(path: str, secret: Secret) -> None:
    """Write a secret to a new file that only this user can read."""
    try:
        descriptor = os.open(path, _NEW, 0o600)
    except FileExistsError:
        fail(f"{path} already exists and is not overwritten.")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret.reveal() + "\n")


def require_terminal(*, reveal: bool, force: bool) -> None:
    """Refuse to print a secret into a file or a log by accident."""
    if reveal and not force and not sys.stdout.isatty():
        message = "--reveal would print a secret to something other than a terminal; "
        fail(message + "add --force to do so.")


def _read(what: str, path: Path) -> str:
    """Read a file that nobody but its owner and root can write.

    Links are followed, as Kubernetes mounts secrets as links. A pipe is refused: it
    would wait for its writer.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path.expanduser(), flags)
    except OSError as error:
        message = f"The {what} in {path} cannot be read: {error.strerror}."
        fail(message, AUTHENTICATION)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISFIFO(found.st_mode) and not str(path).startswith("/dev/fd/"):
            fail(f"{path} is a pipe; use - for standard input.", AUTHENTICATION)
        if stat.S_ISFIFO(found.st_mode):
            os.set_blocking(file.fileno(), True)  # a shell's <(…), which has a writer
        elif not stat.S_ISREG(found.st_mode):
            fail(f"{path} is not a file.", AUTHENTICATION)
        elif hasattr(os, "geteuid"):
            _require_protected(path, found)
        return file.read(_MOST_BYTES).decode(errors="replace").removeprefix("\ufeff")


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
