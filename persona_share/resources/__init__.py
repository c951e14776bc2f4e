"""The verbs of the API, one file per plural, one method per endpoint.

A method names the verb, the route and the type, and little more. In `base` a
`Response` becomes a value or an error: one of the two doors where that happens, the
broker of `_tokens` being the other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from persona_share.resources.inquiries import Inquiries
    from persona_share.resources.oauth import OAuth
    from persona_share.resources.verifications import Verifications

_HOMES = {
    "Inquiries": "inquiries",
    "OAuth": "oauth",
    "Verifications": "verifications",
}

__all__ = ["Inquiries", "OAuth", "Verifications"]


def __getattr__(name: str) -> Any:
    """Import a resource when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
