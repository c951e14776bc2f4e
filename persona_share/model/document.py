"""A document: a paper or a card, with its files and what was read from them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.file import File
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


class DocumentStatus(OpenEnum):
    """Where a document stands; the service may add more."""

    INITIATED = "initiated"
    SUBMITTED = "submitted"
    PROCESSED = "processed"
    ERRORED = "errored"


class PersonaDocument(Resource):
    """A document of any ``document/…`` type."""

    __slots__ = ()

    status = Attribute[DocumentStatus](DocumentStatus)
    created_at = Attribute[datetime](datetime)
    processed_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)

    inquiry = Link()
    inquiry_template = Link()
    inquiry_template_version = Link()
    document_files = Links()


class GenericDocument(PersonaDocument):
    """A document of any kind: ``document/generic``."""

    __slots__ = ()

    kind = Attribute[str](str)
    document_type = Attribute[str](str)
    files = Attribute[tuple[File, ...]](tuple[File, ...])
    files_normalized = Attribute[tuple[File, ...]](tuple[File, ...])
    fields = Attribute[Mapping[str, Any]](Mapping[str, Any])
    extraction_responses = Attribute[tuple[Mapping[str, Any], ...]](
        tuple[Mapping[str, Any], ...]
    )


class GovernmentIdDocument(PersonaDocument):
    """A government's document: ``document/government-id``."""

    __slots__ = ()

    front_photo = Attribute[File](File)
    back_photo = Attribute[File](File)
    selfie_photo = Attribute[File](File)
    id_class = Attribute[str](str)
    name_first = Attribute[str](str)
    name_middle = Attribute[str](str)
    name_last = Attribute[str](str)
    name_suffix = Attribute[str](str)
    birthdate = Attribute[date](date)
    birthplace = Attribute[str](str)
    nationality = Attribute[str](str)
    sex = Attribute[str](str)
    address_street_1 = Attribute[str](str)
    address_street_2 = Attribute[str](str)
    address_city = Attribute[str](str)
    address_subdivision = Attribute[str](str)
    address_postal_code = Attribute[str](str)
    issuing_authority = Attribute[str](str)
    issuing_subdivision = Attribute[str](str)
    issue_date = Attribute[date](date)
    expiration_date = Attribute[date](date)
    document_number = Attribute[str](str)
    identification_number = Attribute[str](str)
    visa_status = Attribute[str](str)
    designations = Attribute[tuple[str, ...]](tuple[str, ...])
