"""Files that only this user may read and write.

A file is made with mode 0600 before SQLite opens it, because SQLite gives its journals
the permissions of the file. Permissions that a volume changed are tightened: Kubernetes
makes every file of a volume group-readable when ``fsGroup`` is set. A file is refused
if others could have written to it.
"""

import errno
import logging
import os
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs

from persona_share.errors import (
    ConfigurationError,
    StoreRefusedError,
    StoreUnavailableError,
)


_LOG: Final = logging.getLogger("persona_share")
_NEW: Final = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.", "glusterfs", "gpfs", "lustre"),
    *("ncpfs", "nfs", "smb", "virtiofs"),
)
# Closing a file drops every lock that this process holds on it, so no thread may make
# and close a file while another one opens it in SQLite.
_MAKING: Final = threading.Lock()


@attrs.frozen
class FileIdentity:
    """Which file it is, whatever its name."""

    device: int
    number: int


def path_of(path: object) -> Path:
    """Return an absolute path, with ``~`` expanded.

    Raises:
        ConfigurationError: this is not a path.
    """
    message = "a file path must be a str or a pathlib.Path"
    if not isinstance(path, str | os.PathLike) or not (text := os.fspath(path)):
        raise ConfigurationError(message)
    if not isinstance(text, str) or "\0" in text:
        raise ConfigurationError(message)
    if text == ":memory:":
        memory = "':memory:' is not a file"
        raise ConfigurationError(memory, advice="Use MemoryStore().")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        unknown = f"the home directory of {text!r} is not known"
        raise ConfigurationError(unknown) from None


def private_file(path: Path, beside: Iterable[Path] = ()) -> FileIdentity:
    """Make the file, or tighten and check the one that is there and those beside it.

    Raises:
        StoreRefusedError: others could have written to it, or could replace it.
        StoreUnavailableError: the system does not allow it.
    """
    try:
        _private_directory(path.parent)
        with _MAKING:
            made = _made(path)
        for each in (path, *beside):
            with suppress(FileNotFoundError):
                _tighten(each, os.lstat(each))
        return made or _identity(os.lstat(path))
    except OSError as error:
        failure = unavailable(error, path)
    raise failure


def identity(path: Path) -> FileIdentity | None:
    """Return which file has this name now, or None."""
    try:
        return _identity(os.lstat(path))
    except FileNotFoundError:
        return None


def unavailable(error: OSError, path: Path) -> StoreUnavailableError:
    """Return our error for the system's; it names the file and the reason."""
    reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return StoreUnavailableError(f"the file {path} cannot be used ({reason})")


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of network file system that holds this path, or None.

    Locks of such file systems are unreliable. Where the system does not list its
    mounts, return None.
    """
    with suppress(OSError, ValueError, IndexError, StopIteration):
        kinds = {
            # Fields of Linux's mountinfo: … mount point, …, "-", kind, …
            Path(before.split(" ")[4].replace("\\040", " ")): after.split(" ")[0]
            for before, after in (
                line.split(" - ", 1) for line in mounts.read_text().splitlines()
            )
        }
        real = path.resolve()
        nearest = next(each for each in (real, *real.parents) if each in kinds)
        kind = kinds[nearest]
        return kind if kind.startswith(_NETWORK) else None
    return None


def _made(path: Path) -> FileIdentity | None:
    try:
        number = os.open(path, _NEW, 0o600)
    except FileExistsError:
        return None
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(number, 0o600)  # a umask may have removed even our own bits
        return _identity(os.fstat(number))
    finally:
        os.close(number)


def _private_directory(directory: Path) -> None:
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
    found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not _has_owners() or not mode & stat.S_IWOTH or mode & stat.S_ISVTX:
        return
    if found.st_uid == os.geteuid():
        directory.chmod(mode & ~0o027)
        _LOG.warning(
            "the directory %s was writable by all users; its mode was tightened",
            directory,
        )
    else:
        # An emptyDir of Kubernetes belongs to root. A file that somebody puts there is
        # still refused, because that file belongs to somebody else.
        _LOG.warning("the directory %s is writable by all users", directory)


def _tighten(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a file"
        message = f"{path} is {what}"
        raise StoreRefusedError(message)
    if not _has_owners():
        return
    if found.st_uid != os.geteuid():
        message = f"{path} belongs to another user"
        raise StoreRefusedError(message)
    if found.st_mode & stat.S_IWOTH:
        message = f"{path} is writable by all users"
        raise StoreRefusedError(message)
    if found.st_mode & 0o077:
        path.chmod(0o600)
        _LOG.warning("other users could read %s; its mode is now 0600", path)


def _identity(found: os.stat_result) -> FileIdentity:
    return FileIdentity(found.st_dev, found.st_ino)


def _has_owners() -> bool:
    return hasattr(os, "geteuid")
