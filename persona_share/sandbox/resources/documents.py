"""Documents, with files on the file server."""

from collections.abc import Callable
from typing import Any, Final

from persona_share.sandbox.jsonapi.objects import (
    add_to_inquiry,
    kebab_keys,
    relationship,
    relationship_to,
    timestamp,
)
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.read import retrieve_handler
from persona_share.sandbox.state.fake_people import (
    Person,
    fake_person,
    pdf_document,
    png_image,
)
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record, StoredFile
from persona_share.sandbox.state.state import State


#: The last part of a type, and the segment of its own retrieve operation.
SEGMENTS: Final = {"generic": "generics", "government-id": "government-ids"}


def add_document(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> ObjectRef:
    """Create a document, a processed generic one by default.

    ``kind=`` is the last part of its type, ``inquiry=`` names an inquiry of the same
    owner, which then lists the document. ``content=`` are the bytes of its file.
    """
    given = kebab_keys(attributes)
    kind, document_id = given.pop("kind", "generic"), given.pop("id", None)
    inquiry, content = given.pop("inquiry", None), given.pop("content", None)
    person = fake_person(state.runtime.stream("people"))
    specific = (
        _SPECIFIC_ATTRIBUTES[kind](state, person, content)
        if kind in _SPECIFIC_ATTRIBUTES
        else {}
    )
    relationships = _relationships(state)
    if inquiry is not None:
        relationships["inquiry"] = relationship_to(state, inquiry, "inquiry", owner)
    record = Record(
        document_id or state.runtime.new_id("doc"),
        f"document/{kind}",
        _common_attributes(state, given.get("status", "processed")) | specific | given,
        relationships,
        owner,
    )
    ref = state.records.add(record)
    add_to_inquiry(state, inquiry, "documents", record)
    return ref


def _common_attributes(state: State, status: str) -> Json:
    seconds = state.runtime.now()
    done = status == "processed"
    return {
        "status": status,
        "created-at": timestamp(seconds),
        "processed-at": timestamp(seconds) if done else None,
        "processed-at-ts": int(seconds) if done else None,
    }


def _relationships(state: State) -> dict[str, Json]:
    return {
        "inquiry": {"data": None},
        "template": {"data": None},
        "inquiry-template-version": {"data": None},
        "inquiry-template": {"data": None},
        "transaction": {"data": None},
        "document-files": {
            "data": [
                relationship("document-file", state.runtime.new_id("docf"))["data"]
            ]
        },
    }


def _generic(state: State, person: Person, content: bytes | None) -> Json:
    content = content or pdf_document(
        ["persona_share sandbox", "a document without content"]
    )
    file = state.files.add("document.pdf", content, "application/pdf")
    return {
        "kind": "utility-bill",
        "files": [file],
        "files-normalized": [],
        "extraction-responses": None,
        "document-type": None,
        "fields": {
            "name": {"type": "string", "value": f"{person.first} {person.last}"}
        },
    }


def _government_id(state: State, person: Person, content: bytes | None) -> Json:
    return {
        "front-photo": _photo(state, "front.png", content or png_image(90)),
        "back-photo": _photo(state, "back.png", png_image(160)),
        "selfie-photo": None,
        "id-class": "dl",
        "name-first": person.first,
        "name-middle": person.middle,
        "name-last": person.last,
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


def _photo(state: State, filename: str, content: bytes) -> StoredFile:
    return state.files.add(filename, content)


_SPECIFIC_ATTRIBUTES: Final[
    dict[str, Callable[[State, Person, bytes | None], Json]]
] = {
    "generic": _generic,
    "government-id": _government_id,
}


ROUTES: Final[Routes] = {
    "GET /documents/{document-id}": Operation(
        "retrieve-a-document", retrieve_handler("document")
    ),
    **{
        f"GET /document/{segment}/{{document-id}}": Operation(
            f"retrieve-a-{kind}-document",
            retrieve_handler("document", f"document/{kind}"),
        )
        for kind, segment in SEGMENTS.items()
    },
}
