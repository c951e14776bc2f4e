"""The endpoints of the API as methods: one class per kind of object.

Only `base` and `files` turn a response into a value or an error. Classes are imported
on first use (PEP 562).
"""

from typing import TYPE_CHECKING

from persona_share._lazy import lazy_names


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

if not TYPE_CHECKING:  # a type checker would accept any name of the package
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            ".accounts": "Accounts",
            ".api_keys": "ApiKeys ApiLogs RateLimits",
            ".batch_jobs": "BatchJobs",
            ".cases": "Cases",
            ".connections": "Connections",
            ".documents": "Documents",
            ".files": "Files",
            ".inquiries": "Devices Inquiries InquirySessions",
            ".oauth": "OAuth",
            ".reports": "Reports",
            ".share_tokens": "ShareTokens",
            ".templates": "AccountTypes InquiryTemplates TransactionTypes",
            ".transactions": "Transactions",
            ".verifications": "Verifications",
            ".webhooks": "Events WebhookEvents Webhooks",
            ".workflows": "Workflows",
        },
    )
