"""The verbs of the API, one file per plural, one method per endpoint.

A method names the verb, the route and the type, and little more. In `base` a
`Response` becomes a value or an error: one of the two doors where that happens, the
broker of `_tokens` being the other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from persona_share.resources.accounts import Accounts
    from persona_share.resources.cases import Cases
    from persona_share.resources.connections import Connections
    from persona_share.resources.devices import Devices
    from persona_share.resources.documents import Documents
    from persona_share.resources.events import Events
    from persona_share.resources.files import Files
    from persona_share.resources.inquiries import Inquiries
    from persona_share.resources.inquiry_sessions import InquirySessions
    from persona_share.resources.oauth import OAuth
    from persona_share.resources.rate_limits import RateLimits
    from persona_share.resources.reports import Reports
    from persona_share.resources.share_tokens import ShareTokens
    from persona_share.resources.transactions import Transactions
    from persona_share.resources.verifications import Verifications

_HOMES = {
    "Accounts": "accounts",
    "Cases": "cases",
    "Connections": "connections",
    "Devices": "devices",
    "Documents": "documents",
    "Events": "events",
    "Files": "files",
    "Inquiries": "inquiries",
    "InquirySessions": "inquiry_sessions",
    "OAuth": "oauth",
    "RateLimits": "rate_limits",
    "Reports": "reports",
    "ShareTokens": "share_tokens",
    "Transactions": "transactions",
    "Verifications": "verifications",
}

__all__ = [
    "Accounts",
    "Cases",
    "Connections",
    "Devices",
    "Documents",
    "Events",
    "Files",
    "Inquiries",
    "InquirySessions",
    "OAuth",
    "RateLimits",
    "Reports",
    "ShareTokens",
    "Transactions",
    "Verifications",
]


def __getattr__(name: str) -> Any:
    """Import a resource when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
