"""The endpoints of the API as methods: one class per kind of object.

Only `base` turns a response into a value or an error. Classes are imported on first use
(PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from persona_share.resources.accounts import Accounts
    from persona_share.resources.api_keys import ApiKeys, ApiLogs, RateLimits
    from persona_share.resources.batch_jobs import BatchJobs
    from persona_share.resources.cases import Cases
    from persona_share.resources.connections import Connections
    from persona_share.resources.documents import Documents
    from persona_share.resources.files import Files
    from persona_share.resources.inquiries import Devices, Inquiries, InquirySessions
    from persona_share.resources.oauth import OAuth
    from persona_share.resources.reports import Reports
    from persona_share.resources.share_tokens import ShareTokens
    from persona_share.resources.templates import (
        AccountTypes,
        InquiryTemplates,
        TransactionTypes,
    )
    from persona_share.resources.transactions import Transactions
    from persona_share.resources.verifications import Verifications
    from persona_share.resources.webhooks import Events, WebhookEvents, Webhooks
    from persona_share.resources.workflows import Workflows

_MODULES = {
    "AccountTypes": "templates",
    "Accounts": "accounts",
    "ApiKeys": "api_keys",
    "ApiLogs": "api_keys",
    "BatchJobs": "batch_jobs",
    "Cases": "cases",
    "Connections": "connections",
    "Devices": "inquiries",
    "Documents": "documents",
    "Events": "webhooks",
    "Files": "files",
    "Inquiries": "inquiries",
    "InquirySessions": "inquiries",
    "InquiryTemplates": "templates",
    "OAuth": "oauth",
    "RateLimits": "api_keys",
    "Reports": "reports",
    "ShareTokens": "share_tokens",
    "TransactionTypes": "templates",
    "Transactions": "transactions",
    "Verifications": "verifications",
    "WebhookEvents": "webhooks",
    "Webhooks": "webhooks",
    "Workflows": "workflows",
}

__all__ = [
    "AccountTypes",
    "Accounts",
    "ApiKeys",
    "ApiLogs",
    "BatchJobs",
    "Cases",
    "Connections",
    "Devices",
    "Documents",
    "Events",
    "Files",
    "Inquiries",
    "InquirySessions",
    "InquiryTemplates",
    "OAuth",
    "RateLimits",
    "Reports",
    "ShareTokens",
    "TransactionTypes",
    "Transactions",
    "Verifications",
    "WebhookEvents",
    "Webhooks",
    "Workflows",
]


def __getattr__(name: str) -> Any:
    """Import a class on first use (PEP 562)."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
