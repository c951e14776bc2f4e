"""What each kind of verification knows of a person."""

from collections.abc import Callable
from typing import Final

from persona_share.sandbox.files import FileUrl, StoredFile
from persona_share.sandbox.people import Person
from persona_share.sandbox.pictures import pdf, picture
from persona_share.sandbox.records import Json
from persona_share.sandbox.state import State


def _government_id(state: State, who: Person) -> Json:
    front = state.files.add("front.png", picture(90))
    back = state.files.add("back.png", picture(160))
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
        "name-first": who.first,
        "name-middle": who.middle,
        "name-last": who.last,
        "name-suffix": None,
        "birthdate": who.birthdate,
        "issuing-authority": who.region,
        "document-number": who.number,
        "issue-date": "2020-01-02",
        "expiration-date": "2034-01-02",
        "identification-number": who.number,
        "address-street-1": who.street,
        "address-street-2": who.unit,
        "address-city": who.town,
        "address-subdivision": who.region,
        "address-postal-code": who.postal_code,
    }


def _selfie(state: State, _who: Person) -> Json:
    center = state.files.add("center.png", picture(120))
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


def _database(_state: State, who: Person) -> Json:
    return {
        "name-first": who.first,
        "name-middle": who.middle,
        "name-last": who.last,
        "birthdate": who.birthdate,
        "phone-number": who.phone,
        "email-address": who.email,
        "identification-number": who.number,
        "address-street-1": who.street,
        "address-city": who.town,
        "address-subdivision": who.region,
        "address-postal-code": who.postal_code,
    }


def _page(file: StoredFile, page: str) -> Json:
    return {
        "page": page,
        "url": FileUrl(file),
        "filename": file.filename,
        "byte-size": len(file.content),
    }


def _document(state: State, _who: Person) -> Json:
    content = pdf(["persona_share sandbox", "a document of nobody"])
    return {
        "files": [state.files.add("document.pdf", content, "application/pdf")],
        "files-normalized": [],
        "extraction-responses": None,
        "document-type": None,
    }


#: What a kind has besides what all verifications share.
OWN: Final[dict[str, Callable[[State, Person], Json]]] = {
    "government-id": _government_id,
    "selfie": _selfie,
    "database": _database,
    "document": _document,
    "phone-number": lambda _state, who: {
        "phone-number": who.phone,
        "confirmation-code": "000000",
    },
    "email-address": lambda _state, who: {
        "email-address": who.email,
        "confirmation-code": "000000",
    },
}
