"""Files with personal data: regular files that only this user can read, and folders."""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final

from persona_share.errors import InvalidArgumentError


if sys.platform == "win32":  # pragma: no cover  # there, files cannot be locked so
    fcntl = None
else:
    import fcntl

_HAS_OWNERS: Final = hasattr(os, "geteuid")
_OWNER: Final = stat.S_IRUSR | stat.S_IWUSR
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_FLAGS: Final = (
    os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS: Final = (
    (stat.S_ISREG, None),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
)


def problem_of(found: os.stat_result, user: int | None = None) -> str | None:
    """Return why this user's data is not written to an existing file, or None."""
    kind = next((kind for test, kind in _KINDS if test(found.st_mode)), "a device")
    if kind is not None:
        return f"is {kind}, not a file"
    if _HAS_OWNERS and found.st_uid != (os.geteuid() if user is None else user):
        return "belongs to another user"
    return None


def others_may(found: os.stat_result, bits: int = _OTHERS) -> bool:
    """Return whether other users have one of these permissions, or any at all."""
    return _HAS_OWNERS and bool(found.st_mode & bits)


def require_private(path: Path) -> bool:
    """Return whether others can read a file; it may be missing.

    Raises:
        InvalidArgumentError: `open_private` refuses it. Nothing was changed.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    _require(path, found)
    return others_may(found)


def create_private(path: Path, flags: int = os.O_WRONLY) -> int:
    """Create a file for this user alone and open it.

    Raises:
        FileExistsError: anything is there, a link too.
        OSError: it cannot be created.
    """
    descriptor = os.open(path, flags | _FLAGS | os.O_EXCL, 0o600)
    if _owner_may_not(os.fstat(descriptor)):  # the umask removed some bits
        os.fchmod(descriptor, 0o600)
    return descriptor


def open_private(path: Path, flags: int) -> int:
    """Open a file for this user alone; it is created with mode 0600.

    A file that others can read, or its owner cannot, gets that mode. Links are not
    followed.

    Raises:
        InvalidArgumentError: it is not a regular file, belongs to another user, or its
            mode cannot be changed. Nothing was written.
        OSError: it cannot be opened.
    """
    require_private(path)
    descriptor = os.open(path, (flags | _FLAGS) & ~os.O_TRUNC, 0o600)
    try:
        found = os.fstat(descriptor)
        _require(path, found)
        if others_may(found) or _owner_may_not(found):
            _make_private(path, descriptor)
        if flags & os.O_TRUNC and found.st_size:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require(path: Path, found: os.stat_result) -> None:
    if (problem := problem_of(found)) is not None:
        message = f"{path} {problem}"
        raise InvalidArgumentError(message, advice="Name another file.")


def _owner_may_not(found: os.stat_result) -> bool:
    return _HAS_OWNERS and found.st_mode & _OWNER != _OWNER


def _make_private(path: Path, descriptor: int) -> None:
    try:
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        message = f"the mode of {path} cannot be changed to 0600"
        advice = "Name another file."
        raise InvalidArgumentError(message, advice=advice) from error


def locked(descriptor: int, path: Path, *, wait: bool = False) -> bool:
    """Lock an open file; return whether it is locked and still has this name.

    The operating system releases the lock when the file is closed.
    """
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
    return is_at(descriptor, path)


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return  # this system does not open folders
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Create a folder for this user alone, and those above it; their names are synced."""
    if not path.is_dir():
        make_folder(path.parent)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if not path.is_dir():  # no other process has created it
                raise _not_a_folder(path) from None
        else:
            path.chmod(0o700)  # the umask may have removed bits of the owner
        sync_folder(path.parent)


def _not_a_folder(path: Path) -> NotADirectoryError:
    code = errno.ENOTDIR
    return NotADirectoryError(code, os.strerror(code), str(path))
