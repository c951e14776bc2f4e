"""The types of verifications that have attributes of their own."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from persona_share.model.attribute import Attribute, Link
from persona_share.model.file import File
from persona_share.model.secret import Secret
from persona_share.model.verification import PersonVerification, Verification


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
