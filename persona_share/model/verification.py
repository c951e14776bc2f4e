"""Verifications: checks of one piece of evidence each."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import attrs

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


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
