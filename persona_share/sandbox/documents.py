"""Documents: uploaded papers, with files on the second host."""

from collections.abc import Callable
from typing import Any, Final

from persona_share.sandbox.files import StoredFile
from persona_share.sandbox.making import kebab_keys, moment, one, reference
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import Person, person
from persona_share.sandbox.pictures import pdf, picture
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State


#: The last part of a type, and the segment of its own retrieve operation.
SEGMENTS: Final = {"generic": "generics", "government-id": "government-ids"}


def add_document(state: State, owner: Environment, attributes: dict[str, Any]) -> Added:
    """Make a document, a processed generic one unless the arguments say otherwise.

    ``kind=`` is the last part of its type, ``inquiry=`` names an inquiry of the same
    owner, which then names the document, too. ``content=`` are the bytes of its file.
    """
    given = kebab_keys(attributes)
    kind, document_id = given.pop("kind", "generic"), given.pop("id", None)
    inquiry, content = given.pop("inquiry", None), given.pop("content", None)
    who = person(state.world.stream("people"))
    own = _OWN[kind](state, who, content) if kind in _OWN else {}
    kin = _relationships(state)
    if inquiry is not None:
        kin["inquiry"] = reference(state, inquiry, "inquiry", owner)
    record = Record(
        document_id or state.world.new_id("doc"),
        f"document/{kind}",
        _shared(state, given.get("status", "processed")) | own | given,
        kin,
        owner,
    )
    added = state.records.add(record)
    holder = None if inquiry is None else state.records.get(inquiry)
    if holder is not None:
        holder.relationships["documents"]["data"].append(record.name)
        holder.changed()
    return added


def _shared(state: State, status: str) -> Json:
    seconds = state.world.now()
    done = status == "processed"
    return {
        "status": status,
        "created-at": moment(seconds),
        "processed-at": moment(seconds) if done else None,
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
            "data": [one("document-file", state.world.new_id("docf"))["data"]]
        },
    }


def _generic(state: State, who: Person, content: bytes | None) -> Json:
    content = content or pdf(["persona_share sandbox", "a document of nobody"])
    file = state.files.add("document.pdf", content, "application/pdf")
    return {
        "kind": "utility-bill",
        "files": [file],
        "files-normalized": [],
        "extraction-responses": None,
        "document-type": None,
        "fields": {"name": {"type": "string", "value": f"{who.first} {who.last}"}},
    }


def _government_id(state: State, who: Person, content: bytes | None) -> Json:
    return {
        "front-photo": _photo(state, "front.png", content or picture(90)),
        "back-photo": _photo(state, "back.png", picture(160)),
        "selfie-photo": None,
        "id-class": "dl",
        "name-first": who.first,
        "name-middle": who.middle,
        "name-last": who.last,
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


def _photo(state: State, filename: str, content: bytes) -> StoredFile:
    return state.files.add(filename, content)


_OWN: Final[dict[str, Callable[[State, Person, bytes | None], Json]]] = {
    "generic": _generic,
    "government-id": _government_id,
}
