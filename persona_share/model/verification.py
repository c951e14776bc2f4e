"""A verification: one check of one piece of evidence, of some ``verification/…`` type."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import attrs

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


class VerificationStatus(OpenEnum):
    """Where a verification stands; the service may add more."""

    INITIATED = "initiated"
    SUBMITTED = "submitted"
    PASSED = "passed"
    FAILED = "failed"
    REQUIRES_RETRY = "requires_retry"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    CONFIRMED = "confirmed"


class CheckStatus(OpenEnum):
    """How one check of a verification came out; the service may add more."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@attrs.frozen
class Check:
    """One check of a verification; ``metadata`` differs from check to check."""

    name: str | None = None
    status: CheckStatus | None = None
    reasons: tuple[str, ...] = ()
    requirement: str | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


class Verification(Resource):
    """A verification of any type; ``type`` says which."""

    __slots__ = ()

    status = Attribute[VerificationStatus](VerificationStatus)
    checks = Attribute[tuple[Check, ...]](tuple[Check, ...])
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    country_code = Attribute[str](str)
    created_at = Attribute[datetime](datetime)
    submitted_at = Attribute[datetime](datetime)
    completed_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)

    accounts = Links()
    inquiry = Link()
    inquiry_template = Link()
    inquiry_template_version = Link()
    transaction = Link()
    verification_template = Link()
    verification_template_version = Link()


class PersonVerification(Verification):
    """A verification that names a person."""

    __slots__ = ()

    name_first = Attribute[str](str)
    name_middle = Attribute[str](str)
    name_last = Attribute[str](str)
    birthdate = Attribute[date](date)
    address_street_1 = Attribute[str](str)
    address_street_2 = Attribute[str](str)
    address_city = Attribute[str](str)
    address_subdivision = Attribute[str](str)
    address_postal_code = Attribute[str](str)
    identification_number = Attribute[str](str)
