"""The operations on inquiry sessions."""

from typing import Final

from persona_share.sandbox.bodies import TEXT, TEXTS, Shape, read_body
from persona_share.sandbox.calls import Call, Caller, Reply
from persona_share.sandbox.founding import MARK
from persona_share.sandbox.includes import check_include, without_include
from persona_share.sandbox.making import moment
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import ONE, check_query
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.sessions import new_session
from persona_share.sandbox.state import PREFIX, State
from persona_share.sandbox.writing import (
    attributes_of,
    conflict,
    found,
    meta_of,
    require,
    touch,
)


CREATE: Final[Shape] = {"data": {"attributes": {"inquiry-id*": TEXT}}}
EXPIRE_ALL: Final[Shape] = {"meta": {"inquiry-ids*": TEXTS}}
_MOST_INQUIRIES: Final = 100


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Make a session of an inquiry."""
    inquiry_id = attributes_of(body).get("inquiry-id")
    if inquiry_id is None:
        raise Problem(400, "data.attributes.inquiry_id is missing")
    return new_session(state, found(state, inquiry_id, caller, "inquiry")), None


def expire(state: State, session: Record, _body: Json) -> None:
    """End a session."""
    if session.attributes["status"] == "expired":
        raise conflict(state, "the session has expired already")
    end_session(state, session)


def expire_all(state: State, call: Call) -> Reply:
    """End every session of some inquiries."""
    check_query(state, call, ONE)
    check_include(call, "inquiry-session")
    require(call.caller, "inquiry")
    body = read_body(call, EXPIRE_ALL, state.switches)
    ids = meta_of(body).get("inquiry-ids", ())
    if not 0 < len(ids) <= _MOST_INQUIRIES:
        raise Problem(400, f"meta.inquiry_ids takes 1 to {_MOST_INQUIRIES} ids")
    inquiries = [found(state, each, call.caller, "inquiry") for each in ids]
    ended = [each for inquiry in inquiries for each in end_sessions(state, inquiry)]
    return state.rendering.many(ended, None, without_include(call))


def one_time_link(state: State, _record: Record, _body: Json) -> Json:
    """Answer the links with which a person goes on; they are secrets."""
    secret = state.world.new_secret(MARK, 24)
    origin = state.url.removesuffix(PREFIX)
    return {
        "one-time-link": f"{origin}/one-time-link/{secret}",
        "one-time-link-short": f"{origin}/l/{secret[-12:]}",
    }


def end_sessions(state: State, inquiry: Record) -> list[Record]:
    """End each session of an inquiry that has not ended; answer those."""
    named = (
        state.records.get(each["id"]) for each in inquiry.related("sessions") or ()
    )
    alive = [each for each in named if each and each.attributes["status"] != "expired"]
    for session in alive:
        end_session(state, session)
    return alive


def end_session(state: State, session: Record) -> None:
    """End one session."""
    now = moment(state.world.now())
    session.attributes |= {"status": "expired", "expired-at": now}
    touch(state, session)
