"""Reading form bodies: closed sets of parameters, in any of the three casings."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from persona_share.sandbox.problems import Problem


FORM: Final = "application/x-www-form-urlencoded"

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def kebab(name: str) -> str:
    """Answer a parameter's name in kebab-case, whatever it came in."""
    return _HUMP.sub("-", name).replace("_", "-").lower()


def read_form(body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    """Answer the parameters of a form by their kebab-case names.

    Raises:
        Problem: 400 for another content type, bytes that are no text, or a repetition.
    """
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != FORM:
        raise Problem(400, f"the body must be {FORM}")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise Problem(400, "the body is not a form") from None
    form = {kebab(name): value for name, value in pairs}
    if len(form) != len(pairs):
        raise Problem(400, "a parameter was sent twice")
    return form


def check(
    form: Mapping[str, str], *, required: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """Refuse a missing or an unknown parameter with 400, without repeating a value."""
    needed = tuple(required)
    for name in needed:
        if not form.get(name):
            raise Problem(400, f"{name.replace('-', '_')} is missing")
    if set(form) - {*needed, *optional}:
        # Its name is not repeated: a careless client may have sent a bare secret.
        raise Problem(400, "a parameter was sent that is not permitted here")
