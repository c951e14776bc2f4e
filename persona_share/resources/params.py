"""What can be said of a new or a changed object, by name.

Names are the API's own in Python's spelling. Whatever else the API takes by now goes
into ``attributes``, which is sent as it is.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypedDict

from persona_share.resources.query_options import IncludeOptions, RetrieveOptions


class _Anything(TypedDict, total=False):
    attributes: Mapping[str, Any]


class InquiryAttributes(TypedDict, total=False):
    """The attributes of a new inquiry."""

    inquiry_template_id: str | None
    inquiry_template_version_id: str | None
    template_id: str | None
    account_id: str | None
    reference_id: str | None
    creator_email_address: str | None
    fields: Mapping[str, Any] | None
    initial_step_name: str | None
    note: str | None
    redirect_uri: str | None
    tags: Sequence[str] | None
    theme_id: str | None
    theme_set_id: str | None


class InquiryMeta(TypedDict, total=False):
    """What is to be done with a new inquiry; durations are in seconds."""

    auto_create_account: bool
    auto_create_account_reference_id: str
    auto_create_account_type_id: str
    auto_create_inquiry_session: bool
    auto_create_one_time_link: bool
    expiration_after_create_interval_seconds: int | None
    expiration_after_resume_interval_seconds: int | None
    expiration_after_start_interval_seconds: int | None
    one_time_link_expiration_seconds: int | None


class NewInquiry(
    InquiryAttributes, InquiryMeta, _Anything, IncludeOptions, total=False
):
    """Everything that can be said of a new inquiry."""


class InquiryChanges(TypedDict, total=False):
    """The attributes of an inquiry that can be changed; None clears one."""

    fields: Mapping[str, Any] | None
    note: str | None
    redirect_uri: str | None
    tags: Sequence[str]


class ChangedInquiry(InquiryChanges, _Anything, IncludeOptions, total=False):
    """Everything that can be said of a changed inquiry."""


class AccountChanges(TypedDict, total=False):
    """The attributes of an account that can be set; None clears one."""

    account_status: str
    address_city: str
    address_postal_code: str
    address_street_1: str
    address_street_2: str
    address_subdivision: str
    birthdate: date | str
    country_code: str
    email_address: str
    fields: Mapping[str, Any]
    name_first: str
    name_last: str
    name_middle: str
    phone_number: str
    reference_id: str
    selfie_photo: Mapping[str, Any]
    social_security_number: str
    tags: Sequence[str] | None


class AccountAttributes(AccountChanges, total=False):
    """The attributes of a new account."""

    account_type_id: str


class AccountMeta(TypedDict, total=False):
    """What is to be done if the account exists already."""

    upsert_by: str | None


class NewAccount(
    AccountAttributes, AccountMeta, _Anything, IncludeOptions, total=False
):
    """Everything that can be said of a new account."""


class ChangedAccount(AccountChanges, _Anything, IncludeOptions, total=False):
    """Everything that can be said of a changed account."""


class TransactionAttributes(TypedDict, total=False):
    """The attributes of a new transaction."""

    fields: Mapping[str, Any]
    reference_id: str
    tags: Sequence[str] | None
    transaction_type_id: str


class NewTransaction(TransactionAttributes, _Anything, IncludeOptions, total=False):
    """Everything that can be said of a new transaction."""


class TransactionChanges(TypedDict, total=False):
    """The attributes of a transaction that can be changed."""

    fields: Mapping[str, Any]
    label: str
    reference_id: str
    status: str
    tags: Sequence[str]


class ChangedTransaction(TransactionChanges, _Anything, IncludeOptions, total=False):
    """Everything that can be said of a changed transaction."""


class ReportAttributes(TypedDict, total=False):
    """The attributes of a new report; ``query`` differs from type to type."""

    account_id: str
    query: Mapping[str, Any]
    reference_id: str
    report_template_id: str


class ReportMeta(TypedDict, total=False):
    """What is to be done with a new report, and how it is to be run."""

    auto_create_account: bool
    auto_create_account_reference_id: str
    auto_create_account_type_id: str
    processing_mode: str
    request_flags: Sequence[str]


class NewReport(ReportAttributes, ReportMeta, _Anything, RetrieveOptions, total=False):
    """Everything that can be said of a new report, but for its type."""


class CaseAttributes(TypedDict, total=False):
    """The attributes of a new case."""

    case_queue_id: str
    case_template_id: str
    creator_email_address: str
    fields: Mapping[str, Any]


class CaseMeta(TypedDict, total=False):
    """What a new case is about, and how many seconds it may take."""

    object_ids: Sequence[str]
    sla_expires_in_seconds: float | None


class NewCase(CaseAttributes, CaseMeta, _Anything, IncludeOptions, total=False):
    """Everything that can be said of a new case."""


class CaseChanges(TypedDict, total=False):
    """The attributes of a case that can be changed."""

    attachments: Sequence[Mapping[str, Any]]
    case_queue_id: str | None
    fields: Mapping[str, Any]


class CaseChangesMeta(TypedDict, total=False):
    """How many seconds a case may take from now on."""

    sla_expires_in_seconds: float | None


class ChangedCase(CaseChanges, CaseChangesMeta, _Anything, IncludeOptions, total=False):
    """Everything that can be said of a changed case."""
