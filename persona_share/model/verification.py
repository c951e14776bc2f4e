"""Verifications: checks of one piece of evidence each."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import attrs

from persona_share.model.attribute import Attribute, Link, Links, OpenEnum
from persona_share.model.file import File
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret


class VerificationStatus(OpenEnum):
    """The status of a verification; the service may add more."""

    INITIATED = "initiated"
    SUBMITTED = "submitted"
    PASSED = "passed"
    FAILED = "failed"
    REQUIRES_RETRY = "requires_retry"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    CONFIRMED = "confirmed"


class CheckStatus(OpenEnum):
    """The result of one check; the service may add more."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@attrs.frozen
class Check:
    """One check of a verification; ``metadata`` depends on the check."""

    name: str | None = None
    status: CheckStatus | None = None
    reasons: tuple[str, ...] = ()
    requirement: str | None = None
    category: str | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


class Verification(Resource):
    """A verification of any type; ``type`` says which one."""

    __slots__ = ()

    status: Attribute[VerificationStatus] = Attribute(VerificationStatus)
    checks: Attribute[tuple[Check, ...]] = Attribute(tuple[Check, ...])
    tags: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    country_code: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    submitted_at: Attribute[datetime] = Attribute(datetime)
    completed_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    accounts: Links = Links()
    inquiry: Link = Link()
    inquiry_template: Link = Link()
    inquiry_template_version: Link = Link()
    transaction: Link = Link()
    verification_template: Link = Link()
    verification_template_version: Link = Link()


class PersonVerification(Verification):
    """A verification with data of a person."""

    __slots__ = ()

    name_first: Attribute[str] = Attribute(str)
    name_middle: Attribute[str] = Attribute(str)
    name_last: Attribute[str] = Attribute(str)
    birthdate: Attribute[date] = Attribute(date)
    address_street_1: Attribute[str] = Attribute(str)
    address_street_2: Attribute[str] = Attribute(str)
    address_city: Attribute[str] = Attribute(str)
    address_subdivision: Attribute[str] = Attribute(str)
    address_postal_code: Attribute[str] = Attribute(str)
    identification_number: Attribute[str] = Attribute(str)


# ── Types with further attributes ───────────────────────────────────────


class DatabaseVerification(PersonVerification):
    """A comparison with a register: ``verification/database…`` and ``…/aamva``."""

    __slots__ = ()

    document_number: Attribute[str] = Attribute(str)
    phone_number: Attribute[str] = Attribute(str)
    email_address: Attribute[str] = Attribute(str)
    name_full: Attribute[str] = Attribute(str)
    name_business: Attribute[str] = Attribute(str)
    cpf: Attribute[str] = Attribute(str)
    tin: Attribute[str] = Attribute(str)
    tin_type: Attribute[str] = Attribute(str)
    issuing_authority: Attribute[str] = Attribute(str)
    issue_date: Attribute[date] = Attribute(date)
    expiration_date: Attribute[date] = Attribute(date)
    normalized_address_street_1: Attribute[str] = Attribute(str)
    normalized_address_street_2: Attribute[str] = Attribute(str)
    normalized_address_city: Attribute[str] = Attribute(str)
    normalized_address_subdivision: Attribute[str] = Attribute(str)
    normalized_address_postal_code: Attribute[str] = Attribute(str)


class DocumentVerification(Verification):
    """A document of any kind: ``verification/document``."""

    __slots__ = ()

    document_type: Attribute[str] = Attribute(str)
    fields: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    files_normalized: Attribute[tuple[File, ...]] = Attribute(tuple[File, ...])
    extraction_responses: Attribute[tuple[Mapping[str, Any], ...]] = Attribute(
        tuple[Mapping[str, Any], ...]
    )

    document: Link = Link()


class EmailAddressVerification(Verification):
    """The confirmation of an email address: ``verification/email-address``."""

    __slots__ = ()

    email_address: Attribute[str] = Attribute(str)
    confirmation_code: Attribute[Secret] = Attribute(Secret)


class PhoneNumberVerification(Verification):
    """The confirmation of a phone number: ``verification/phone-number``."""

    __slots__ = ()

    phone_number: Attribute[str] = Attribute(str)
    confirmation_code: Attribute[Secret] = Attribute(Secret)


class GovernmentIdVerification(PersonVerification):
    """A government ID, photographed or read by NFC."""

    __slots__ = ()

    id_class: Attribute[str] = Attribute(str)
    capture_method: Attribute[str] = Attribute(str)
    document_number: Attribute[str] = Attribute(str)
    issuing_authority: Attribute[str] = Attribute(str)
    issuing_subdivision: Attribute[str] = Attribute(str)
    issue_date: Attribute[date] = Attribute(date)
    expiration_date: Attribute[date] = Attribute(date)
    nationality: Attribute[str] = Attribute(str)
    birthplace: Attribute[str] = Attribute(str)
    sex: Attribute[str] = Attribute(str)
    name_suffix: Attribute[str] = Attribute(str)
    native_name_first: Attribute[str] = Attribute(str)
    native_name_middle: Attribute[str] = Attribute(str)
    native_name_last: Attribute[str] = Attribute(str)
    native_name_title: Attribute[str] = Attribute(str)
    entity_confidence_score: Attribute[float] = Attribute(float)
    entity_confidence_reasons: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    from_reusable_persona: Attribute[bool] = Attribute(bool)
    front_photo_url: Attribute[Secret] = Attribute(Secret)
    back_photo_url: Attribute[Secret] = Attribute(Secret)
    selfie_photo_url: Attribute[Secret] = Attribute(Secret)
    video_url: Attribute[Secret] = Attribute(Secret)
    selfie_photo: Attribute[File] = Attribute(File)
    photo_urls: Attribute[tuple[File, ...]] = Attribute(tuple[File, ...])

    document: Link = Link()


class SelfieVerification(Verification):
    """A selfie, compared with other photos: ``verification/selfie``."""

    __slots__ = ()

    capture_method: Attribute[str] = Attribute(str)
    entity_confidence_score: Attribute[float] = Attribute(float)
    entity_confidence_reasons: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    document_similarity_score: Attribute[float] = Attribute(float)
    selfie_similarity_score_left: Attribute[float] = Attribute(float)
    selfie_similarity_score_right: Attribute[float] = Attribute(float)
    left_photo_url: Attribute[Secret] = Attribute(Secret)
    center_photo_url: Attribute[Secret] = Attribute(Secret)
    right_photo_url: Attribute[Secret] = Attribute(Secret)
    video_url: Attribute[Secret] = Attribute(Secret)
    photo_urls: Attribute[tuple[File, ...]] = Attribute(tuple[File, ...])
    center_photo_face_coordinates: Attribute[Mapping[str, Any]] = Attribute(
        Mapping[str, Any]
    )
