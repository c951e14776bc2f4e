"""The types of verification that have attributes of their own."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from persona_share.model.attribute import Attribute, Link
from persona_share.model.file import File
from persona_share.model.secret import Secret
from persona_share.model.verification import PersonVerification, Verification


class DatabaseVerification(PersonVerification):
    """Data compared with a register: ``verification/database…`` and ``…/aamva``."""

    __slots__ = ()

    document_number = Attribute[str](str)
    phone_number = Attribute[str](str)
    email_address = Attribute[str](str)
    name_full = Attribute[str](str)
    name_business = Attribute[str](str)
    cpf = Attribute[str](str)
    tin = Attribute[str](str)
    tin_type = Attribute[str](str)
    issuing_authority = Attribute[str](str)
    issue_date = Attribute[date](date)
    expiration_date = Attribute[date](date)
    normalized_address_street_1 = Attribute[str](str)
    normalized_address_street_2 = Attribute[str](str)
    normalized_address_city = Attribute[str](str)
    normalized_address_subdivision = Attribute[str](str)
    normalized_address_postal_code = Attribute[str](str)


class DocumentVerification(Verification):
    """A document of any kind: ``verification/document``."""

    __slots__ = ()

    document_type = Attribute[str](str)
    fields = Attribute[Mapping[str, Any]](Mapping[str, Any])
    files = Attribute[tuple[File, ...]](tuple[File, ...])
    files_normalized = Attribute[tuple[File, ...]](tuple[File, ...])
    extraction_responses = Attribute[tuple[Mapping[str, Any], ...]](
        tuple[Mapping[str, Any], ...]
    )

    document = Link()


class EmailAddressVerification(Verification):
    """An e-mail address that was confirmed: ``verification/email-address``."""

    __slots__ = ()

    email_address = Attribute[str](str)
    confirmation_code = Attribute[Secret](Secret)


class PhoneNumberVerification(Verification):
    """A phone number that was confirmed: ``verification/phone-number``."""

    __slots__ = ()

    phone_number = Attribute[str](str)
    confirmation_code = Attribute[Secret](Secret)


class GovernmentIdVerification(PersonVerification):
    """A government's document, photographed or read by NFC."""

    __slots__ = ()

    id_class = Attribute[str](str)
    capture_method = Attribute[str](str)
    document_number = Attribute[str](str)
    issuing_authority = Attribute[str](str)
    issuing_subdivision = Attribute[str](str)
    issue_date = Attribute[date](date)
    expiration_date = Attribute[date](date)
    nationality = Attribute[str](str)
    birthplace = Attribute[str](str)
    sex = Attribute[str](str)
    name_suffix = Attribute[str](str)
    native_name_first = Attribute[str](str)
    native_name_middle = Attribute[str](str)
    native_name_last = Attribute[str](str)
    native_name_title = Attribute[str](str)
    entity_confidence_score = Attribute[float](float)
    entity_confidence_reasons = Attribute[tuple[str, ...]](tuple[str, ...])
    from_reusable_persona = Attribute[bool](bool)
    front_photo_url = Attribute[Secret](Secret)
    back_photo_url = Attribute[Secret](Secret)
    selfie_photo_url = Attribute[Secret](Secret)
    video_url = Attribute[Secret](Secret)
    selfie_photo = Attribute[File](File)
    photo_urls = Attribute[tuple[File, ...]](tuple[File, ...])

    document = Link()


class SelfieVerification(Verification):
    """A face compared with itself and with a document: ``verification/selfie``."""

    __slots__ = ()

    capture_method = Attribute[str](str)
    entity_confidence_score = Attribute[float](float)
    entity_confidence_reasons = Attribute[tuple[str, ...]](tuple[str, ...])
    document_similarity_score = Attribute[float](float)
    selfie_similarity_score_left = Attribute[float](float)
    selfie_similarity_score_right = Attribute[float](float)
    left_photo_url = Attribute[Secret](Secret)
    center_photo_url = Attribute[Secret](Secret)
    right_photo_url = Attribute[Secret](Secret)
    video_url = Attribute[Secret](Secret)
    photo_urls = Attribute[tuple[File, ...]](tuple[File, ...])
    center_photo_face_coordinates = Attribute[Mapping[str, Any]](Mapping[str, Any])
