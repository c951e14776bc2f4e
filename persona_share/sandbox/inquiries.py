"""Inquiries, with about 9 kB of JSON each, as a long template would give."""

from typing import Any, Final

from persona_share.sandbox.inquiry_fields import behaviors, fields_of
from persona_share.sandbox.making import (
    kebab_keys,
    moment,
    one,
    reference,
    worded_fields,
)
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import Person, person, words
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.sessions import new_session
from persona_share.sandbox.state import State


#: The statuses that come after completion, and the moment each one sets.
MOMENTS: Final[dict[str, tuple[str, ...]]] = {
    "created": (),
    "pending": ("started-at",),
    "expired": ("started-at", "expired-at"),
    "failed": ("started-at", "failed-at"),
    "completed": ("started-at", "completed-at"),
    "needs_review": ("started-at", "completed-at", "marked-for-review-at"),
    "approved": ("started-at", "completed-at", "decisioned-at"),
    "declined": ("started-at", "completed-at", "decisioned-at"),
}
#: The usual fields and their kinds.
USUAL: Final = {
    **dict.fromkeys(words("name-first name-middle name-last"), "text"),
    **dict.fromkeys(words("address-street-1 address-street-2 address-city"), "text"),
    **dict.fromkeys(words("address-subdivision address-postal-code"), "text"),
    "address-country-code": "text",
    "birthdate": "date",
    **dict.fromkeys(words("email-address phone-number identification-number"), "text"),
}
_ALL_MOMENTS: Final = (
    "started-at",
    "expires-at",
    "completed-at",
    "failed-at",
    "marked-for-review-at",
    "decisioned-at",
    "expired-at",
    "redacted-at",
)


def add_inquiry(
    state: State,
    owner: Environment,
    attributes: dict[str, Any],
    who: Person | None = None,
) -> Added:
    """Make an inquiry, completed unless ``status`` says otherwise.

    ``account=`` names an account of the same owner.
    """
    given = kebab_keys(attributes)
    inquiry_id = given.pop("id", None) or state.world.new_id("inq")
    account = given.pop("account", None)
    who = who or person(state.world.stream("people"))
    fields = fields_of(who, state.world.stream("fields"))
    fields |= worded_fields(given.pop("fields", {}))
    kin = {}
    if account is not None:
        kin["account"] = reference(state, account, "account", owner)
    record = new_inquiry(
        state,
        owner,
        status=given.get("status", "completed"),
        fields=fields,
        attributes=given,
        kin=kin,
        inquiry_id=inquiry_id,
    )
    new_session(state, record)
    return Added(record.id, record.type)


def new_inquiry(
    state: State,
    owner: Environment,
    *,
    status: str,
    fields: Json,
    attributes: Json,
    kin: dict[str, Json],
    inquiry_id: str | None = None,
) -> Record:
    """Make an inquiry without a session."""
    record = Record(
        inquiry_id or state.world.new_id("inq"),
        "inquiry",
        _attributes(state, status, fields) | attributes,
        _relationships(state) | kin,
        owner,
    )
    state.records.add(record)
    return record


def blank_fields() -> Json:
    """Answer the usual fields, empty."""
    return {
        name: {"type": "date" if kind == "date" else "string", "value": None}
        for name, kind in USUAL.items()
    }


def _attributes(state: State, status: str, fields: Json) -> Json:
    now = moment(state.world.now())
    moments = dict.fromkeys(_ALL_MOMENTS) | dict.fromkeys(MOMENTS.get(status, ()), now)
    return {
        "status": status,
        "reference-id": None,
        "note": None,
        "behaviors": behaviors(state.world.stream("behaviors")),
        "tags": [],
        "creator": "sandbox@example.com",
        "reviewer-comment": None,
        "created-at": now,
        "updated-at": now,
        **moments,
        "previous-step-name": "start",
        "next-step-name": "success" if moments["completed-at"] else "verification",
        "fields": fields,
    }


def _relationships(state: State) -> dict[str, Json]:
    return {
        "account": {"data": None},
        "template": {"data": None},
        "inquiry-template": one("inquiry-template", state.world.new_id("itmpl")),
        "inquiry-template-version": one(
            "inquiry-template-version", state.world.new_id("itmplv")
        ),
        "transaction": {"data": None},
        "reviewer": {"data": None},
        "reports": {"data": []},
        "verifications": {"data": []},
        "sessions": {"data": []},
        "documents": {"data": []},
        "selfies": {"data": []},
    }
