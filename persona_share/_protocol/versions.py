"""The dated versions of the API: the header ``Persona-Version`` (page "Versioning")."""

import re
from typing import Final


#: What is asked for unless somebody says otherwise; the models are written for it.
DEFAULT: Final = "2025-12-08"
#: Every version that the service's documents name.
KNOWN: Final = frozenset(
    {
        "2020-05-18",
        "2021-02-21",
        "2021-05-14",
        "2021-07-05",
        "2021-08-18",
        "2022-09-01",
        "2023-01-05",
        "2025-10-27",
        DEFAULT,
        "2026-09-29",
    }
)
#: What is said of anything else.
NO_DATE: Final = f"persona_version must be a date such as '{DEFAULT}'"

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def is_date(version: object) -> bool:
    """Return whether it has the form of a version; only those can be sent."""
    return isinstance(version, str) and _DATE.fullmatch(version) is not None


def doubt_about(version: str) -> str | None:
    """Return a warning if no document names the version, which may be newer."""
    if version in KNOWN:
        return None
    return f"persona_version {version} is none that persona_share knows; it is sent"
