"""The command line: a program on top of the public API, and on nothing else.

Secrets come from the environment, a file or standard input, never as arguments.
"""

import sys
from typing import Final

from persona_share.errors import MissingExtraError


#: `exit_codes.USAGE`, which cannot be imported without the extra.
_USAGE: Final = 2


def main() -> None:
    """Run ``persona-share``; says what to install where the extra is missing."""
    try:
        from persona_share.cli.app import app  # noqa: PLC0415  # an optional extra
        from persona_share.cli.exit_codes import run_app  # noqa: PLC0415  # needs it, too
    except ImportError as error:
        if error.name not in {"click", "rich_click", "rich"}:
            raise
        missing = MissingExtraError.of(error, "the command persona-share", "cli")
        sys.stderr.write(f"{missing}\n")
        sys.exit(_USAGE)
    sys.exit(run_app(app))
