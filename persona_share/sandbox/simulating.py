"""Simulated actions: an inquiry is moved on as if somebody had."""

from collections.abc import Mapping
from typing import Final

from persona_share.sandbox.bodies import TEXT, Shape
from persona_share.sandbox.events import emit
from persona_share.sandbox.inquiry_acts import set_status
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.state import State
from persona_share.sandbox.verifications import add_verification
from persona_share.sandbox.writing import meta_of


SIMULATE: Final[Shape] = {
    "meta*": {
        "simulate-actions*": [
            {"type*": TEXT, "data": {"verification-template-id*": TEXT}}
        ]
    }
}
#: The status that an action leads to, and the event that tells of it.
_STATUSES: Final[Mapping[str, tuple[str, str]]] = {
    "start_inquiry": ("pending", "inquiry.started"),
    "complete_inquiry": ("completed", "inquiry.completed"),
    "fail_inquiry": ("failed", "inquiry.failed"),
    "expire_inquiry": ("expired", "inquiry.expired"),
    "mark_for_review_inquiry": ("needs_review", "inquiry.marked-for-review"),
    "approve_inquiry": ("approved", "inquiry.approved"),
    "decline_inquiry": ("declined", "inquiry.declined"),
}
_VERIFICATIONS: Final = {
    "create_passed_verification": "passed",
    "create_failed_verification": "failed",
}


def simulate(state: State, record: Record, body: Json) -> None:
    """Do each action in turn, once all of them are known to be good."""
    actions = meta_of(body)["simulate-actions"]
    for each in actions:
        makes = each["type"] in _VERIFICATIONS
        if (each["type"] not in _STATUSES and not makes) or makes != ("data" in each):
            raise Problem(400, "meta.simulate_actions holds an unknown action")
    for each in actions:
        if each["type"] in _STATUSES:
            status, event = _STATUSES[each["type"]]
            set_status(state, record, status)
            emit(state, record, event)
        else:
            status = _VERIFICATIONS[each["type"]]
            made = {"inquiry": record.id, "status": status}
            add_verification(state, record.owner, made)
