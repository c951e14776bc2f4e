"""Dates that name a version of the API."""

import re
from typing import Final

from persona_share.sandbox.problems import Problem


#: What a key speaks that was given no version.
NEWEST: Final = "2025-12-08"

_VERSION: Final = re.compile(r"20\d\d-[01]\d-[0-3]\d")


def checked_version(text: str) -> str:
    """Answer the version; any date will do, as Persona adds some every year."""
    if not _VERSION.fullmatch(text):
        raise Problem(400, "Persona-Version must be a date")
    return text
