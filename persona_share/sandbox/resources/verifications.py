"""Verifications of all documented types."""

from collections.abc import Callable
from typing import Any, Final

from persona_share.sandbox.jsonapi.objects import (
    add_to_inquiry,
    kebab_keys,
    relationship,
    relationship_to,
    timestamp,
)
from persona_share.sandbox.jsonapi.operations import (
    Operation,
    Routes,
    redact_route,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    list_handler,
    print_handler,
    retrieve_handler,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.fake_people import (
    Person,
    fake_person,
    pdf_document,
    png_image,
)
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import (
    FileUrl,
    Json,
    ObjectRef,
    Record,
    StoredFile,
)
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


#: The last part of a type, and the segment of its own retrieve operation.
SEGMENTS: Final = {
    "aamva": "aamvas",
    "database": "databases",
    "database-ecbsv": "database-ecbsvs",
    "database-phone-carrier": "database-phone-carriers",
    "database-serpro": "database-serpros",
    "database-standard": "database-standards",
    "database-tin": "database-tins",
    "document": "documents",
    "email-address": "email-addresses",
    "government-id": "government-ids",
    "government-id-nfc": "government-id-nfcs",
    "phone-number": "phone-numbers",
    "selfie": "selfies",
}
#: Statuses of a verification that is not completed.
_UNFINISHED: Final = ("initiated", "submitted")


def add_verification(
    state: State,
    owner: Environment,
    attributes: dict[str, Any],
    person: Person | None = None,
) -> ObjectRef:
    """Create a verification, a passed government ID by default.

    ``kind=`` is the last part of its type (``"selfie"``), ``inquiry=`` names an
    inquiry of the same owner, which then lists the verification.
    """
    given = kebab_keys(attributes)
    verification_id = given.pop("id", None) or state.runtime.new_id("ver")
    kind = given.pop("kind", "government-id")
    inquiry = given.pop("inquiry", None)
    person = person or fake_person(state.runtime.stream("people"))
    generated = _common_attributes(state, given.get("status", "passed"), kind)
    if kind in SPECIFIC_ATTRIBUTES:
        generated |= SPECIFIC_ATTRIBUTES[kind](state, person)
    relationships = _relationships(state)
    if inquiry is not None:
        relationships["inquiry"] = relationship_to(state, inquiry, "inquiry", owner)
    record = Record(
        verification_id, f"verification/{kind}", generated | given, relationships, owner
    )
    ref = state.records.add(record)
    add_to_inquiry(state, inquiry, "verifications", record)
    return ref


def _common_attributes(state: State, status: str, kind: str) -> Json:
    seconds = state.runtime.now()
    now, stamp = timestamp(seconds), int(seconds)
    submitted = status != "initiated"
    completed = status not in _UNFINISHED
    return {
        "status": status,
        "created-at": now,
        "created-at-ts": stamp,
        "submitted-at": now if submitted else None,
        "submitted-at-ts": stamp if submitted else None,
        "completed-at": now if completed else None,
        "completed-at-ts": stamp if completed else None,
        "redacted-at": None,
        "country-code": "US",
        "tags": [],
        "checks": [_check(f"{kind.replace('-', '_')}_{rest}") for rest in _CHECKS],
    }


_CHECKS: Final = ("expired_detection", "compromised_detection", "entity_detection")


def _check(name: str) -> Json:
    return {
        "name": name,
        "status": "passed",
        "reasons": [],
        "requirement": "required",
        "category": None,
        "metadata": {},
    }


def _relationships(state: State) -> dict[str, Json]:
    return {
        "inquiry": {"data": None},
        "template": {"data": None},
        "inquiry-template-version": {"data": None},
        "inquiry-template": {"data": None},
        "transaction": {"data": None},
        "verification-template": relationship(
            "verification-template/government-id", state.runtime.new_id("vtmpl")
        ),
        "verification-template-version": {"data": None},
        "accounts": {"data": []},
    }


def lock(_state: State, record: Record, _body: Json) -> None:
    """Protect a verification from redaction during an investigation."""
    record.internal["locked"] = True


def unlock(_state: State, record: Record, _body: Json) -> None:
    """Unlock a verification after an investigation."""
    record.internal["locked"] = False


def _government_id(state: State, person: Person) -> Json:
    front = state.files.add("front.png", png_image(90))
    back = state.files.add("back.png", png_image(160))
    return {
        "front-photo-url": FileUrl(front),
        "back-photo-url": FileUrl(back),
        "photo-urls": [_page(front, "front"), _page(back, "back")],
        "selfie-photo": None,
        "selfie-photo-url": None,
        "video-url": None,
        "entity-confidence-score": 98.0,
        "entity-confidence-reasons": [],
        "id-class": "dl",
        "capture-method": "manual",
        "name-first": person.first,
        "name-middle": person.middle,
        "name-last": person.last,
        "name-suffix": None,
        "birthdate": person.birthdate,
        "issuing-authority": person.region,
        "document-number": person.number,
        "issue-date": "2020-01-02",
        "expiration-date": "2034-01-02",
        "identification-number": person.number,
        "address-street-1": person.street,
        "address-street-2": person.unit,
        "address-city": person.town,
        "address-subdivision": person.region,
        "address-postal-code": person.postal_code,
    }


def _selfie(state: State, _person: Person) -> Json:
    center = state.files.add("center.png", png_image(120))
    return {
        "capture-method": "manual",
        "center-photo-url": FileUrl(center),
        "left-photo-url": None,
        "right-photo-url": None,
        "video-url": None,
        "photo-urls": [_page(center, "center")],
        "document-similarity-score": 97.5,
        "entity-confidence-reasons": [],
    }


def _database(_state: State, person: Person) -> Json:
    return {
        "name-first": person.first,
        "name-middle": person.middle,
        "name-last": person.last,
        "birthdate": person.birthdate,
        "phone-number": person.phone,
        "email-address": person.email,
        "identification-number": person.number,
        "address-street-1": person.street,
        "address-city": person.town,
        "address-subdivision": person.region,
        "address-postal-code": person.postal_code,
    }


def _page(file: StoredFile, page: str) -> Json:
    return {
        "page": page,
        "url": FileUrl(file),
        "filename": file.filename,
        "byte-size": len(file.content),
    }


def _document(state: State, _person: Person) -> Json:
    content = pdf_document(["persona_share sandbox", "a document without content"])
    return {
        "files": [state.files.add("document.pdf", content, "application/pdf")],
        "files-normalized": [],
        "extraction-responses": None,
        "document-type": None,
    }


#: The attributes of one kind, in addition to the common ones.
SPECIFIC_ATTRIBUTES: Final[dict[str, Callable[[State, Person], Json]]] = {
    "government-id": _government_id,
    "selfie": _selfie,
    "database": _database,
    "document": _document,
    "phone-number": lambda _state, person: {
        "phone-number": person.phone,
        "confirmation-code": "000000",
    },
    "email-address": lambda _state, person: {
        "email-address": person.email,
        "confirmation-code": "000000",
    },
}


def list_verifications(state: State, request: Request) -> Response:
    """List verifications if the switch allows it; the operation is not documented."""
    if not state.switches.lists_verifications:
        raise ApiError(404)
    return list_handler("verification", {})(state, request)


_VERIFICATION: Final = "/verifications/{verification-id}"
_OPERATION_OF_KIND: Final = {
    "aamva": "retrieve-an-aamva-verification",
    "database-ecbsv": "retrieve-an-ecbsv-database-verification",
    "database-phone-carrier": "retrieve-a-phone-carrier-database-verification",
    "database-serpro": "retrieve-a-serpro-database-verification",
    "database-tin": "retrieve-a-tin-database-verification",
}
ROUTES: Final[Routes] = {
    "GET /verifications": Operation(None, list_verifications),
    f"GET {_VERIFICATION}": Operation(
        "retrieve-a-verification", retrieve_handler("verification")
    ),
    **redact_route("verification", _VERIFICATION, "redact-a-verification"),
    f"GET {_VERIFICATION}/print": Operation(
        "print-a-verification-as-pdf", print_handler("verification")
    ),
    f"POST {_VERIFICATION}/investigation-lock": Operation(
        "investigation-lock-a-verification", update_handler("verification", lock)
    ),
    f"POST {_VERIFICATION}/investigation-unlock": Operation(
        "investigation-unlock-a-verification", update_handler("verification", unlock)
    ),
    **{
        f"GET /verification/{segment}/{{verification-id}}": Operation(
            _OPERATION_OF_KIND.get(kind, f"retrieve-a-{kind}-verification"),
            retrieve_handler("verification", f"verification/{kind}"),
        )
        for kind, segment in SEGMENTS.items()
    },
}
