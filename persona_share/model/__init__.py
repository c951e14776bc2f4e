"""Values: ids, scopes, secrets, tokens, and the objects of the API.

They are frozen. Nothing here awaits, reads a clock, logs, or knows how a value is sent.
Names are imported on first use (PEP 562), as most programs need few of them.
"""

from typing import TYPE_CHECKING

from persona_share._lazy import lazy_names


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

if not TYPE_CHECKING:  # a type checker would accept any name of the package
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            ".account": "Account",
            ".api_key": "ApiKey ApiLog RateLimit",
            ".attribute": "OpenEnum",
            ".batch_job": "BatchJob BatchJobError",
            ".case": "Case",
            ".connection": "Connection ConnectionStatus",
            ".document": "Document DocumentStatus GenericDocument GovernmentIdDocument",
            ".file": "File",
            ".inquiry": (
                "Device Inquiry InquirySession InquirySessionStatus InquiryStatus"
            ),
            ".report": "Report ReportAction ReportStatus",
            ".resource": (
                "FieldValues Headers Reference Resource ResourceWithFields ResponseInfo"
            ),
            ".response": "ApiResponse Page",
            ".scope": "Scope ScopeWarning",
            ".secret": "Secret",
            ".share_token": (
                "Direction FailureReason Peeked RedeemMode Redemption ShareToken "
                "ShareTokenStatus SourceData Visibility"
            ),
            ".template": (
                "AccountType FieldSchema InquiryTemplate ResourceWithSchema "
                "TransactionType"
            ),
            ".token": "AccessToken AuthorizationCode Clock",
            ".transaction": "Transaction",
            ".verification": (
                "Check CheckStatus DatabaseVerification DocumentVerification "
                "EmailAddressVerification GovernmentIdVerification "
                "PhoneNumberVerification SelfieVerification Verification "
                "VerificationStatus"
            ),
            ".webhook": (
                "Event EventName Webhook WebhookEvent WebhookEventStatus "
                "WebhookSecret WebhookStatus"
            ),
            ".workflow": "WorkflowRun WorkflowVersion",
        },
    )
