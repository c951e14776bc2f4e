"""The things the domain talks about: ids, scopes, secrets, tokens, inquiries and so on.

Frozen values, one file per thing, named in the singular. Nothing here awaits, asks the
time, logs, or knows how a thing looks on the wire; that is for `_protocol`. It sees
`errors` and the standard library, no other room. A name is fetched from its file when
it is first asked for (PEP 562): most programs need few of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from persona_share.model.account import Account
    from persona_share.model.case import Case
    from persona_share.model.connection import Connection, ConnectionStatus
    from persona_share.model.device import Device
    from persona_share.model.document import (
        Document,
        DocumentStatus,
        GenericDocument,
        GovernmentIdDocument,
    )
    from persona_share.model.event import Event, EventName
    from persona_share.model.file import File
    from persona_share.model.inquiry import Inquiry, InquiryStatus
    from persona_share.model.inquiry_session import InquirySession, InquirySessionStatus
    from persona_share.model.openenum import OpenEnum
    from persona_share.model.page import Page
    from persona_share.model.rate_limit import RateLimit
    from persona_share.model.report import Report, ReportAction, ReportStatus
    from persona_share.model.resource import Reference, Resource, ResponseInfo
    from persona_share.model.response import ApiResponse
    from persona_share.model.scope import Scope
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
    from persona_share.model.token import AccessToken, AuthorizationCode, Clock
    from persona_share.model.transaction import Transaction
    from persona_share.model.verification import (
        Check,
        CheckStatus,
        Verification,
        VerificationStatus,
    )
    from persona_share.model.verification_types import (
        DatabaseVerification,
        DocumentVerification,
        EmailAddressVerification,
        GovernmentIdVerification,
        PhoneNumberVerification,
        SelfieVerification,
    )

__all__ = [
    "AccessToken",
    "Account",
    "ApiResponse",
    "AuthorizationCode",
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
    "File",
    "GenericDocument",
    "GovernmentIdDocument",
    "GovernmentIdVerification",
    "Inquiry",
    "InquirySession",
    "InquirySessionStatus",
    "InquiryStatus",
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
    "ResponseInfo",
    "Scope",
    "Secret",
    "SelfieVerification",
    "ShareToken",
    "ShareTokenStatus",
    "SourceData",
    "Transaction",
    "Verification",
    "VerificationStatus",
    "Visibility",
]

_FILE_OF = {
    "AccessToken": "token",
    "Account": "account",
    "ResponseInfo": "resource",
    "AuthorizationCode": "token",
    "Case": "case",
    "Check": "verification",
    "CheckStatus": "verification",
    "Clock": "token",
    "Connection": "connection",
    "ConnectionStatus": "connection",
    "DatabaseVerification": "verification_types",
    "Device": "device",
    "Direction": "share_token",
    "ApiResponse": "response",
    "DocumentStatus": "document",
    "DocumentVerification": "verification_types",
    "EmailAddressVerification": "verification_types",
    "Event": "event",
    "EventName": "event",
    "FailureReason": "share_token",
    "File": "file",
    "GenericDocument": "document",
    "GovernmentIdDocument": "document",
    "GovernmentIdVerification": "verification_types",
    "Inquiry": "inquiry",
    "InquirySession": "inquiry_session",
    "InquirySessionStatus": "inquiry_session",
    "InquiryStatus": "inquiry",
    "OpenEnum": "openenum",
    "Page": "page",
    "Peeked": "share_token",
    "Document": "document",
    "PhoneNumberVerification": "verification_types",
    "RateLimit": "rate_limit",
    "RedeemMode": "share_token",
    "Redemption": "share_token",
    "Reference": "resource",
    "Report": "report",
    "ReportAction": "report",
    "ReportStatus": "report",
    "Resource": "resource",
    "Scope": "scope",
    "Secret": "secret",
    "SelfieVerification": "verification_types",
    "ShareToken": "share_token",
    "ShareTokenStatus": "share_token",
    "SourceData": "share_token",
    "Transaction": "transaction",
    "Verification": "verification",
    "VerificationStatus": "verification",
    "Visibility": "share_token",
}


if not TYPE_CHECKING:  # a checker that saw it would believe in any name at all

    def __getattr__(name: str) -> object:
        """Fetch a thing from its file, once."""
        if name not in _FILE_OF:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List what can be fetched."""
    return sorted({*globals(), *__all__})
