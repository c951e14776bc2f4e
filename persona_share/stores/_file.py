"""Files that only this user may read: made before anybody else can look (T12).

SQLite gives its journals the permissions of the file that it finds, and an empty file
is a new database to it. So the file is made here, closed, and only then opened there.
Nobody may open and close a file beside SQLite: closing it drops the process's locks.
"""

import errno
import os
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs

from persona_share.errors import StoreRefusedError, StoreUnavailableError


# Where the flags do not exist, neither do the things that they keep away.
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
# Held from making a file to closing it, for the reason given above.
_MAKING: Final = threading.Lock()


@attrs.frozen
class Identity:
    """Which file it is, whatever name it has."""

    device: int
    number: int


def private_file(path: Path, beside: Iterable[Path] = ()) -> Identity:
    """Make the file, or check the one that is there and those beside it.

    Raises:
        StoreRefusedError: others could read it or swap it.
        StoreUnavailableError: the system will not make it.
    """
    try:
        _private_directory(path.parent)
        with _MAKING:
            made = _made(path)
        for each in (path, *beside):
            found = _lstat(each)
            if found is not None:
                _require_private(each, found)
        return made or _identity(os.lstat(path))
    except OSError as error:
        raise unavailable(error, path) from None


def identity(path: Path) -> Identity | None:
    """Answer which file has this name now, or None."""
    found = _lstat(path)
    return None if found is None else _identity(found)


def move_aside(path: Path, word: str, beside: Iterable[Path] = ()) -> Path:
    """Give a file another name that nobody has, and those beside it as well."""
    aside, count = path.with_name(f"{path.name}.{word}"), 1
    while os.path.lexists(aside):
        count += 1
        aside = path.with_name(f"{path.name}.{word}-{count}")
    path.rename(aside)
    aside.chmod(0o600)
    for each in beside:
        with suppress(FileNotFoundError):
            each.rename(aside.with_name(aside.name + each.name[len(path.name) :]))
    return aside


def unavailable(error: OSError, path: Path) -> StoreUnavailableError:
    """Answer our error for the system's; it tells the file and the reason."""
    reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return StoreUnavailableError(f"the file {path} cannot be used ({reason})")


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Answer what kind of network file system holds this path, or None.

    Locks of such file systems are not to be trusted, and a write-ahead log not at all
    (F106). Where the system does not tell its mounts, the answer is None.
    """
    with suppress(OSError, ValueError, IndexError):
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


def _made(path: Path) -> Identity | None:
    try:
        number = os.open(path, _NEW, 0o600)
    except FileExistsError:
        return None
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(number, 0o600)  # a umask may have taken even our own bits
        return _identity(os.fstat(number))
    finally:
        os.close(number)


def _private_directory(directory: Path) -> None:
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
    mode = directory.stat().st_mode
    if _has_owners() and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        message = f"anybody may write to the directory {directory}"
        raise StoreRefusedError(message)


def _require_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a file"
        message = f"{path} is {what}"
        raise StoreRefusedError(message)
    if _has_owners():
        if found.st_uid != os.geteuid():
            message = f"{path} belongs to another user"
            raise StoreRefusedError(message)
        if found.st_mode & 0o077:
            message = f"others may read or write {path}"
            raise StoreRefusedError(message)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _identity(found: os.stat_result) -> Identity:
    return Identity(found.st_dev, found.st_ino)


def _has_owners() -> bool:
    return hasattr(os, "geteuid")
