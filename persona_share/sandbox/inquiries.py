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
from persona_share.sandbox.people import Person, person
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State


#: The statuses that come after completion, and the moment each one sets.
_MOMENTS: Final = {
    "created": (),
    "pending": ("started-at",),
    "expired": ("started-at", "expired-at"),
    "failed": ("started-at", "failed-at"),
    "completed": ("started-at", "completed-at"),
    "needs_review": ("started-at", "completed-at", "marked-for-review-at"),
    "approved": ("started-at", "completed-at", "decisioned-at"),
    "declined": ("started-at", "completed-at", "decisioned-at"),
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
    made = _attributes(state, given.get("status", "completed"), fields)
    relationships = _relationships(state)
    if account is not None:
        relationships["account"] = reference(state, account, "account", owner)
    record = Record(inquiry_id, "inquiry", made | given, relationships, owner)
    return state.records.add(record)


def _attributes(state: State, status: str, fields: Json) -> Json:
    now = moment(state.world.now())
    moments = dict.fromkeys(_ALL_MOMENTS) | dict.fromkeys(_MOMENTS.get(status, ()), now)
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
        "sessions": {
            "data": [one("inquiry-session", state.world.new_id("iqse"))["data"]]
        },
        "documents": {"data": []},
        "selfies": {"data": []},
    }
