"""Small files that a user names: keys, codes, agreements; they are read whole."""

import errno
import os
import stat
from pathlib import Path


def read_file(path: Path, largest: int) -> tuple[str, os.stat_result]:
    """Return the text of a file, and its status when it was opened.

    Links are followed, as Kubernetes mounts secrets as links. A file is never read in
    part, and a named pipe is refused, as it may have no writer.

    Raises:
        OSError: it cannot be opened, is not a file, or has more than ``largest`` bytes.
        ValueError: it is not UTF-8.
    """
    flags = os.O_RDONLY
    for name in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK"):  # not on every platform
        flags |= getattr(os, name, 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISFIFO(found.st_mode):
            if not str(path).startswith("/dev/"):
                raise OSError(errno.EINVAL, "it is not a file but a pipe")
            os.set_blocking(file.fileno(), True)  # a shell's <(…), which has a writer
        elif not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        content = file.read(largest + 1)
    return text_of(content, largest), found


def text_of(content: bytes, largest: int) -> str:
    """Return the text in the first ``largest + 1`` bytes of a file, as `read_file`."""
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it has more than {largest} bytes")
    return content.decode("utf-8-sig")
