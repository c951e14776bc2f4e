"""Warnings that point at the code that uses this package."""

import os
import sys
import warnings
from pathlib import Path
from typing import Final


#: The files of this package, and of the constructors that attrs generates.
_OWN: Final = (f"{Path(__file__).parent}{os.sep}", "<attrs generated")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest line outside of this package."""
    level = 1
    while _file(level).startswith(_OWN):
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)


def _file(level: int) -> str:
    """Return the file of a caller of `warn_user`, or no text above the outermost."""
    try:
        return sys._getframe(level + 1).f_code.co_filename  # noqa: SLF001  # like warnings
    except ValueError:
        return ""
