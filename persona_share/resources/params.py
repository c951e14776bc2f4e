"""Request bodies: the named values of new and changed objects, and their encoding.

Names are the API's own in snake_case. Unknown attributes are passed as ``attributes``,
which is sent unchanged.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from enum import Enum
from math import isfinite
from typing import Any, Final, Literal, Required, TypedDict
from urllib.parse import urlencode

import attrs

from persona_share._protocol.json import dump_json
from persona_share.errors import InvalidArgumentError
from persona_share.resources.query_options import IncludeOptions, RetrieveOptions


JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


@attrs.frozen
class Body:
    """A request body, encoded once for all attempts."""

    content: bytes | None = attrs.field(default=None, repr=False)
    content_type: str | None = None

    @classmethod
    def of_json(cls, value: object) -> "Body":
        """Encode a JSON value; raises `InvalidArgumentError`."""
        content = None
        with suppress(TypeError, ValueError):  # the error's text contains the value
            content = dump_json(value)
        # orjson writes null for NaN and infinity, and null clears an attribute.
        if content is None or (b"null" in content and not _is_finite(value)):
            message = "the body contains a value that JSON cannot express"
            raise InvalidArgumentError(message)
        return cls(content, JSON)

    @classmethod
    def of_form(cls, values: Mapping[str, Any]) -> "Body":
        """Encode a form."""
        with suppress(UnicodeEncodeError):  # the error's text contains the value
            # As bytes: of a text, str() is sent, which for a member of an Enum is a name.
            texts = {
                name: value.encode() if isinstance(value, str) else value
                for name, value in values.items()
            }
            return cls(urlencode(texts).encode(), FORM)
        message = "the form has a character that UTF-8 cannot encode"
        raise InvalidArgumentError(message)


NO_BODY: Final = Body()


def _is_finite(value: object) -> bool:
    """Return whether a value has no part that is NaN or infinity."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, Enum):
        return _is_finite(value.value)
    if is_dataclass(value):
        return all(_is_finite(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list | tuple) or all(map(_is_finite, value))


def attributes_body(
    values: Mapping[str, Any], meta: Mapping[str, Any] | None = None
) -> Body:
    """Return a document with these attributes, and with ``meta`` if there is any.

    Names are in snake_case; values that are None are left out.
    """
    document: dict[str, Any] = {"data": {"attributes": _kebab(values)}}
    if meta:
        document["meta"] = _kebab(meta)
    return Body.of_json(document)


def meta_body(**values: Any) -> Body:
    """Return a document with ``meta`` only; values that are None are left out."""
    meta = _kebab(values)
    return Body.of_json({"meta": meta}) if meta else NO_BODY


def _kebab(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.replace("_", "-"): value
        for name, value in values.items()
        if value is not None
    }


def seconds_of(
    name: str,
    duration: timedelta | None,
    *,
    at_least: timedelta | None = None,
    at_most: timedelta | None = None,
) -> int | None:
    """Return a duration in whole seconds; raises `InvalidArgumentError`."""
    given: object = duration
    if given is None:
        return None
    if not isinstance(given, timedelta):
        message = f"{name} must be a timedelta, not {type(given).__name__}"
        raise InvalidArgumentError(message)
    if given % timedelta(seconds=1):
        message = f"{name} must be whole seconds"
        raise InvalidArgumentError(message)
    lowest = at_least or timedelta(seconds=1)
    if given < lowest or (at_most is not None and given > at_most):
        upper = f" to {_in_words(at_most)}" if at_most is not None else " or more"
        message = f"{name} must be {_in_words(lowest)}{upper}, not {_in_words(given)}"
        raise InvalidArgumentError(message)
    return int(given.total_seconds())


def _in_words(duration: timedelta) -> str:
    """Return a duration of whole seconds, in days if it is one of whole days."""
    days, rest = divmod(duration, timedelta(days=1))
    return (
        f"{days} days" if days > 1 and not rest else f"{duration.total_seconds():g} s"
    )


# ── Named values ─────────────────────────────────────────────────────────────────


class _Extra(TypedDict, total=False):
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
    """Instructions for a new inquiry; durations are in seconds."""

    auto_create_account: bool
    auto_create_account_reference_id: str
    auto_create_account_type_id: str
    auto_create_inquiry_session: bool
    auto_create_one_time_link: bool
    expiration_after_create_interval_seconds: int | None
    expiration_after_resume_interval_seconds: int | None
    expiration_after_start_interval_seconds: int | None
    one_time_link_expiration_seconds: int | None


class NewInquiry(InquiryAttributes, InquiryMeta, _Extra, IncludeOptions, total=False):
    """The arguments of `Inquiries.create`."""


class InquiryChanges(TypedDict, total=False):
    """The attributes of an inquiry that can be changed; None clears one."""

    fields: Mapping[str, Any] | None
    note: str | None
    redirect_uri: str | None
    tags: Sequence[str]


class ChangedInquiry(InquiryChanges, _Extra, IncludeOptions, total=False):
    """The arguments of `Inquiries.update`."""


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
    """Instructions for an account that exists already."""

    upsert_by: str | None


class NewAccount(AccountAttributes, AccountMeta, _Extra, IncludeOptions, total=False):
    """The arguments of `Accounts.create`."""


class ChangedAccount(AccountChanges, _Extra, IncludeOptions, total=False):
    """The arguments of `Accounts.update`."""


class TransactionAttributes(TypedDict, total=False):
    """The attributes of a new transaction."""

    fields: Mapping[str, Any]
    reference_id: str
    tags: Sequence[str] | None
    transaction_type_id: str


class NewTransaction(TransactionAttributes, _Extra, IncludeOptions, total=False):
    """The arguments of `Transactions.create`."""


class TransactionChanges(TypedDict, total=False):
    """The attributes of a transaction that can be changed."""

    fields: Mapping[str, Any]
    label: str
    reference_id: str
    status: str
    tags: Sequence[str]


class ChangedTransaction(TransactionChanges, _Extra, IncludeOptions, total=False):
    """The arguments of `Transactions.update`."""


class ReportAttributes(TypedDict, total=False):
    """The attributes of a new report; ``query`` differs from type to type."""

    account_id: str
    query: Mapping[str, Any]
    reference_id: str
    report_template_id: str


class ReportMeta(TypedDict, total=False):
    """Instructions for a new report."""

    auto_create_account: bool
    auto_create_account_reference_id: str
    auto_create_account_type_id: str
    processing_mode: str
    request_flags: Sequence[str]


class NewReport(ReportAttributes, ReportMeta, _Extra, RetrieveOptions, total=False):
    """The arguments of `Reports.create`, except its type."""


class CaseAttributes(TypedDict, total=False):
    """The attributes of a new case."""

    case_queue_id: str
    case_template_id: str
    creator_email_address: str
    fields: Mapping[str, Any]


class CaseMeta(TypedDict, total=False):
    """The objects of a new case, and its time limit in seconds."""

    object_ids: Sequence[str]
    sla_expires_in_seconds: float | None


class NewCase(CaseAttributes, CaseMeta, _Extra, IncludeOptions, total=False):
    """The arguments of `Cases.create`."""


class CaseChanges(TypedDict, total=False):
    """The attributes of a case that can be changed."""

    attachments: Sequence[Mapping[str, Any]]
    case_queue_id: str | None
    fields: Mapping[str, Any]


class CaseChangesMeta(TypedDict, total=False):
    """The time limit of a case, in seconds from now."""

    sla_expires_in_seconds: float | None


class ChangedCase(CaseChanges, CaseChangesMeta, _Extra, IncludeOptions, total=False):
    """The arguments of `Cases.update`."""


class WebhookSettings(TypedDict, total=False):
    """The attributes of a webhook that are always optional.

    ``included_allowlist`` and ``relationship_allowlist`` are ``{"state": …}``.
    ``custom_http_headers`` may contain credentials of your own server.
    """

    description: str | None
    api_version: str
    api_key_inflection: Literal["camel", "kebab", "snake"]
    api_attributes_blocklist: Sequence[str]
    file_access_token_expires_in: int
    payload_filter: Mapping[str, Any]
    included_allowlist: Mapping[str, Any]
    relationship_allowlist: Mapping[str, Any]
    custom_http_headers: Mapping[str, str]


class WebhookChanges(WebhookSettings, total=False):
    """The attributes of a webhook that can be changed."""

    name: str | None
    url: str
    enabled_events: Sequence[str]


class NewWebhook(WebhookSettings, _Extra, RetrieveOptions, total=False):
    """The arguments of `Webhooks.create`."""

    name: Required[str]
    url: Required[str]
    enabled_events: Required[Sequence[str]]


class ChangedWebhook(WebhookChanges, _Extra, RetrieveOptions, total=False):
    """The arguments of `Webhooks.update`."""


class ApiKeySettings(TypedDict, total=False):
    """The attributes of an API key that are always optional."""

    note: str
    api_version: str
    api_key_inflection: Literal["camel", "kebab", "snake"]
    api_attributes_blocklist: Sequence[str]
    ip_address_allowlist: Sequence[str]
    permissions: Sequence[str]
    file_access_token_expires_in: int


class ApiKeyChanges(ApiKeySettings, total=False):
    """The attributes of an API key that can be changed."""

    name: str


class NewApiKey(ApiKeySettings, _Extra, RetrieveOptions, total=False):
    """The arguments of `ApiKeys.create`."""

    name: Required[str]


class ChangedApiKey(ApiKeyChanges, _Extra, RetrieveOptions, total=False):
    """The arguments of `ApiKeys.update`."""
