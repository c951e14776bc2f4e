"""The operations that make, change and decide on inquiries."""

from typing import Final

from persona_share.sandbox.accounts import new_account
from persona_share.sandbox.calls import Caller
from persona_share.sandbox.entering import entered
from persona_share.sandbox.founding import MARK
from persona_share.sandbox.inquiries import (
    MOMENTS,
    USUAL,
    blank_fields,
    new_inquiry,
)
from persona_share.sandbox.making import in_time, moment, one
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.session_acts import end_sessions, one_time_link
from persona_share.sandbox.sessions import new_session
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import (
    Change,
    attributes_of,
    conflict,
    found,
    meta_of,
    unless_null,
)


_UNFINISHED: Final = frozenset({"created", "pending", "expired"})
_TEMPLATES: Final = {
    "template-id": "template",
    "inquiry-template-id": "inquiry-template",
    "inquiry-template-version-id": "inquiry-template-version",
}


def create(state: State, caller: Caller, body: Json) -> tuple[Record, Json]:
    """Make an inquiry that nobody has begun."""
    given, meta = unless_null(attributes_of(body)), unless_null(meta_of(body))
    fields = blank_fields() | entered(state, given.get("fields", {}), USUAL)
    kin = _kin(state, caller, given, meta)
    attributes = {
        "note": given.get("note"),
        "reference-id": given.get("reference-id"),
        "tags": given.get("tags", []),
        "creator": given.get("creator-email-address", "API"),
    }
    seconds = meta.get("expiration-after-create-interval-seconds")
    if seconds is not None:
        attributes["expires-at"] = in_time(state, seconds)
    record = new_inquiry(
        state,
        caller.environment,
        status="created",
        fields=fields,
        attributes=attributes,
        kin=kin,
    )
    return record, _ways_in(state, record, meta)


def _kin(state: State, caller: Caller, given: Json, meta: Json) -> Json:
    kin = {
        name: one(name, given[key]) for key, name in _TEMPLATES.items() if key in given
    }
    if "account-id" in given:
        kin["account"] = {
            "data": found(state, given["account-id"], caller, "account").name
        }
    elif meta.get("auto-create-account"):
        reference = meta.get("auto-create-account-reference-id")
        reference = reference or given.get("reference-id")
        account = new_account(
            state, caller.environment, {}, {"reference-id": reference}
        )
        kin["account"] = {"data": account.name}
    return kin


def _ways_in(state: State, record: Record, meta: Json) -> Json:
    ways: Json = dict.fromkeys(
        ("session-token", "one-time-link", "one-time-link-short")
    )
    if meta.get("auto-create-inquiry-session"):
        new_session(state, record)
        ways["session-token"] = _session_token(state)
    if meta.get("auto-create-one-time-link"):
        ways |= one_time_link(state, record, {})
    return ways


def update(state: State, record: Record, body: Json) -> None:
    """Replace what the body names; fields are merged."""
    given = attributes_of(body)
    record.attributes["fields"] |= entered(state, given.get("fields") or {}, USUAL)
    record.attributes |= {k: given[k] for k in ("note", "tags") if k in given}


def decider(status: str) -> Change:
    """Answer the change that decides on an inquiry, or marks it for review."""

    def decide(state: State, record: Record, body: Json) -> None:
        unfinished = record.attributes["status"] in _UNFINISHED
        if unfinished and not state.switches.decides_unfinished:
            raise conflict(state, "the inquiry is not completed")
        set_status(state, record, status)
        comment = meta_of(body).get("comment")
        if comment is not None:
            record.attributes["reviewer-comment"] = comment

    return decide


def expire(state: State, record: Record, _body: Json) -> None:
    """End an inquiry and all of its sessions; it can be resumed."""
    if record.attributes["status"] not in {"created", "pending"}:
        raise conflict(state, "the inquiry is neither created nor pending")
    set_status(state, record, "expired")
    end_sessions(state, record)


def resume(state: State, record: Record, _body: Json) -> Json:
    """Open an inquiry once more."""
    if record.attributes["status"] not in {"pending", "expired"}:
        raise conflict(state, "the inquiry is neither pending nor expired")
    set_status(state, record, "pending")
    record.attributes["expired-at"] = None
    new_session(state, record)
    return {"session-token": _session_token(state)}


def link(state: State, record: Record, body: Json) -> Json:
    """Make a session, and the link that leads to it."""
    new_session(state, record)
    return one_time_link(state, record, body)


def set_status(state: State, record: Record, status: str) -> None:
    """Set a status and the moments that go with it."""
    now = moment(state.world.now())
    for name in MOMENTS.get(status, ()):
        if record.attributes[name] is None or name == MOMENTS[status][-1]:
            record.attributes[name] = now
    record.attributes["status"] = status


def _session_token(state: State) -> str:
    return state.world.new_secret(f"{MARK}session_", 32)
