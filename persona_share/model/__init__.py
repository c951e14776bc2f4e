"""Values: ids, scopes, secrets, tokens, and the objects of the API.

They are frozen. Nothing here awaits, reads a clock, logs, or knows how a value is sent.
Names are imported on first use (PEP 562), as most programs need few of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from persona_share.model.account import Account
    from persona_share.model.api_key import ApiKey, ApiLog, RateLimit
    from persona_share.model.attribute import OpenEnum
    from persona_share.model.batch_job import BatchJob, BatchJobError
    from persona_share.model.case import Case
    from persona_share.model.connection import Connection, ConnectionStatus
    from persona_share.model.document import (
        Document,
        DocumentStatus,
        GenericDocument,
        GovernmentIdDocument,
    )
    from persona_share.model.file import File
    from persona_share.model.inquiry import (
        Device,
        Inquiry,
        InquirySession,
        InquirySessionStatus,
        InquiryStatus,
    )
    from persona_share.model.report import Report, ReportAction, ReportStatus
    from persona_share.model.resource import (
        FieldValues,
        Headers,
        Reference,
        Resource,
        ResourceWithFields,
        ResponseInfo,
    )
    from persona_share.model.response import ApiResponse, Page
    from persona_share.model.scope import Scope, ScopeWarning
    from persona_share.model.secret import Secret
    from persona_share.model.share_token import (
        Direction,
        FailureReason,
        Peeked,
        RedeemMode,
        Redemption,
        ShareToken,
        ShareTokenStatus,
        SourceData,
        Visibility,
    )
    from persona_share.model.template import (
        AccountType,
        FieldSchema,
        InquiryTemplate,
        ResourceWithSchema,
        TransactionType,
    )
    from persona_share.model.token import AccessToken, AuthorizationCode, Clock
    from persona_share.model.transaction import Transaction
    from persona_share.model.verification import (
        Check,
        CheckStatus,
        DatabaseVerification,
        DocumentVerification,
        EmailAddressVerification,
        GovernmentIdVerification,
        PhoneNumberVerification,
        SelfieVerification,
        Verification,
        VerificationStatus,
    )
    from persona_share.model.webhook import (
        Event,
        EventName,
        Webhook,
        WebhookEvent,
        WebhookEventStatus,
        WebhookSecret,
        WebhookStatus,
    )
    from persona_share.model.workflow import WorkflowRun, WorkflowVersion

__all__ = [
    "AccessToken",
    "Account",
    "AccountType",
    "ApiKey",
    "ApiLog",
    "ApiResponse",
    "AuthorizationCode",
    "BatchJob",
    "BatchJobError",
    "Case",
    "Check",
    "CheckStatus",
    "Clock",
    "Connection",
    "ConnectionStatus",
    "DatabaseVerification",
    "Device",
    "Direction",
    "Document",
    "DocumentStatus",
    "DocumentVerification",
    "EmailAddressVerification",
    "Event",
    "EventName",
    "FailureReason",
    "FieldSchema",
    "FieldValues",
    "File",
    "GenericDocument",
    "GovernmentIdDocument",
    "GovernmentIdVerification",
    "Headers",
    "Inquiry",
    "InquirySession",
    "InquirySessionStatus",
    "InquiryStatus",
    "InquiryTemplate",
    "OpenEnum",
    "Page",
    "Peeked",
    "PhoneNumberVerification",
    "RateLimit",
    "RedeemMode",
    "Redemption",
    "Reference",
    "Report",
    "ReportAction",
    "ReportStatus",
    "Resource",
    "ResourceWithFields",
    "ResourceWithSchema",
    "ResponseInfo",
    "Scope",
    "ScopeWarning",
    "Secret",
    "SelfieVerification",
    "ShareToken",
    "ShareTokenStatus",
    "SourceData",
    "Transaction",
    "TransactionType",
    "Verification",
    "VerificationStatus",
    "Visibility",
    "Webhook",
    "WebhookEvent",
    "WebhookEventStatus",
    "WebhookSecret",
    "WebhookStatus",
    "WorkflowRun",
    "WorkflowVersion",
]

_MODULES = {
    "AccessToken": "token",
    "Account": "account",
    "AccountType": "template",
    "ApiKey": "api_key",
    "ApiLog": "api_key",
    "ApiResponse": "response",
    "AuthorizationCode": "token",
    "BatchJob": "batch_job",
    "BatchJobError": "batch_job",
    "Case": "case",
    "Check": "verification",
    "CheckStatus": "verification",
    "Clock": "token",
    "Connection": "connection",
    "ConnectionStatus": "connection",
    "DatabaseVerification": "verification",
    "Device": "inquiry",
    "Direction": "share_token",
    "Document": "document",
    "DocumentStatus": "document",
    "DocumentVerification": "verification",
    "EmailAddressVerification": "verification",
    "Event": "webhook",
    "EventName": "webhook",
    "FailureReason": "share_token",
    "FieldSchema": "template",
    "FieldValues": "resource",
    "File": "file",
    "GenericDocument": "document",
    "GovernmentIdDocument": "document",
    "GovernmentIdVerification": "verification",
    "Headers": "resource",
    "Inquiry": "inquiry",
    "InquirySession": "inquiry",
    "InquirySessionStatus": "inquiry",
    "InquiryStatus": "inquiry",
    "InquiryTemplate": "template",
    "OpenEnum": "attribute",
    "Page": "response",
    "Peeked": "share_token",
    "PhoneNumberVerification": "verification",
    "RateLimit": "api_key",
    "RedeemMode": "share_token",
    "Redemption": "share_token",
    "Reference": "resource",
    "Report": "report",
    "ReportAction": "report",
    "ReportStatus": "report",
    "Resource": "resource",
    "ResourceWithFields": "resource",
    "ResourceWithSchema": "template",
    "ResponseInfo": "resource",
    "Scope": "scope",
    "ScopeWarning": "scope",
    "Secret": "secret",
    "SelfieVerification": "verification",
    "ShareToken": "share_token",
    "ShareTokenStatus": "share_token",
    "SourceData": "share_token",
    "Transaction": "transaction",
    "TransactionType": "template",
    "Verification": "verification",
    "VerificationStatus": "verification",
    "Visibility": "share_token",
    "Webhook": "webhook",
    "WebhookEvent": "webhook",
    "WebhookEventStatus": "webhook",
    "WebhookSecret": "webhook",
    "WebhookStatus": "webhook",
    "WorkflowRun": "workflow",
    "WorkflowVersion": "workflow",
}


if not TYPE_CHECKING:  # a type checker would accept any name with it

    def __getattr__(name: str) -> object:
        """Import a class on first use."""
        if name not in _MODULES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List all names, imported or not."""
    return sorted({*globals(), *__all__})
