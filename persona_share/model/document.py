"""Documents: papers and cards, with their files and extracted data."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from persona_share.model.attribute import Attribute, Link, Links, OpenEnum
from persona_share.model.file import File
from persona_share.model.resource import Resource


class DocumentStatus(OpenEnum):
    """The status of a document; the service may add more."""

    INITIATED = "initiated"
    SUBMITTED = "submitted"
    PROCESSED = "processed"
    ERRORED = "errored"


class Document(Resource):
    """A document of any ``document/…`` type."""

    __slots__ = ()

    status: Attribute[DocumentStatus] = Attribute(DocumentStatus)
    created_at: Attribute[datetime] = Attribute(datetime)
    processed_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    inquiry: Link = Link()
    inquiry_template: Link = Link()
    inquiry_template_version: Link = Link()
    document_files: Links = Links()


class GenericDocument(Document):
    """A document of any kind: ``document/generic``."""

    __slots__ = ()

    kind: Attribute[str] = Attribute(str)
    document_type: Attribute[str] = Attribute(str)
    files_normalized: Attribute[tuple[File, ...]] = Attribute(tuple[File, ...])
    fields: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    extraction_responses: Attribute[tuple[Mapping[str, Any], ...]] = Attribute(
        tuple[Mapping[str, Any], ...]
    )


class GovernmentIdDocument(Document):
    """A government ID: ``document/government-id``."""

    __slots__ = ()

    front_photo: Attribute[File] = Attribute(File)
    back_photo: Attribute[File] = Attribute(File)
    selfie_photo: Attribute[File] = Attribute(File)
    id_class: Attribute[str] = Attribute(str)
    name_first: Attribute[str] = Attribute(str)
    name_middle: Attribute[str] = Attribute(str)
    name_last: Attribute[str] = Attribute(str)
    name_suffix: Attribute[str] = Attribute(str)
    birthdate: Attribute[date] = Attribute(date)
    birthplace: Attribute[str] = Attribute(str)
    nationality: Attribute[str] = Attribute(str)
    sex: Attribute[str] = Attribute(str)
    address_street_1: Attribute[str] = Attribute(str)
    address_street_2: Attribute[str] = Attribute(str)
    address_city: Attribute[str] = Attribute(str)
    address_subdivision: Attribute[str] = Attribute(str)
    address_postal_code: Attribute[str] = Attribute(str)
    issuing_authority: Attribute[str] = Attribute(str)
    issuing_subdivision: Attribute[str] = Attribute(str)
    issue_date: Attribute[date] = Attribute(date)
    expiration_date: Attribute[date] = Attribute(date)
    document_number: Attribute[str] = Attribute(str)
    identification_number: Attribute[str] = Attribute(str)
    visa_status: Attribute[str] = Attribute(str)
    designations: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
