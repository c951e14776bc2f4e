"""The operations that make and run reports."""

from collections.abc import Sequence
from typing import Final

from persona_share.sandbox.bodies import BAG, FLAG, TEXT, TEXTS, Shape
from persona_share.sandbox.calls import Call, Caller, Reply
from persona_share.sandbox.making import moment
from persona_share.sandbox.paging import page_of
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import check_query
from persona_share.sandbox.reading import named
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.rendering import written
from persona_share.sandbox.reports import new_report, run_of
from persona_share.sandbox.state import PREFIX, State
from persona_share.sandbox.writing import Change, attributes_of, conflict, found, touch


CREATE: Final[Shape] = {
    "data": {
        "type": TEXT,
        "attributes*": {
            "account-id": TEXT,
            "reference-id": TEXT,
            "report-template-id": TEXT,
            "query": BAG,
        },
    },
    "meta": {
        "auto-create-account": FLAG,
        "auto-create-account-type-id": TEXT,
        "auto-create-account-reference-id": TEXT,
        "processing-mode": TEXT,
        "request-flags": TEXTS,
    },
}
DISMISS: Final[Shape] = {
    "data*": {"attributes": {"dismiss-type": TEXT, "entity-id": TEXT, "reason": TEXT}}
}
#: The kinds that can be asked for.
KINDS: Final = frozenset(
    {
        "address-lookup",
        "adverse-media",
        "business-adverse-media",
        "business-lookup",
        "business-watchlist",
        "crypto-address-watchlist",
        "email-address",
        "phone-number",
        "politically-exposed-person",
        "profile",
        "profile-non-authoritative",
        "social-media",
        "synthetic",
        "watchlist",
    }
)


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Ask for a report; it is pending until its seconds are over."""
    given = attributes_of(body)
    family, _, kind = body.get("data", {}).get("type", "").partition("/")
    if family != "report" or kind not in KINDS:
        raise Problem(400, "data.type must be a type of report")
    kin: dict[str, Json] = {}
    if "account-id" in given:
        kin["account"] = {
            "data": found(state, given["account-id"], caller, "account").name
        }
    record = new_report(
        state,
        caller.environment,
        kind,
        {"status": "pending"},
        kin,
        template=given.get("report-template-id"),
    )
    record.hidden["reference-id"] = given.get("reference-id")
    _finish_later(state, record)
    return record, None


def run(state: State, record: Record, _body: Json) -> None:
    """Run a report once more."""
    if record.attributes["status"] == "pending":
        raise conflict(state, "the report is running")
    record.attributes |= {"status": "pending", "completed-at": None}
    record.hidden["history"].append(run_of(state, None, "manual"))
    _finish_later(state, record)


def monitor(kind: str, *, on: bool) -> Change:
    """Answer the change that pauses or resumes continuous monitoring."""

    def change(state: State, record: Record, _body: Json) -> None:
        if record.hidden.get("monitored", not on) is on:
            raise conflict(state, "the report is so already")
        record.hidden["monitored"] = on
        record.attributes["is-continuous"] = on
        _note(state, record, kind)

    return change


def dismiss(state: State, record: Record, _body: Json) -> None:
    """Dismiss the matches of a report."""
    record.attributes["has-match"] = False
    _note(state, record, "dismiss")


def history(state: State, call: Call) -> Reply:
    """List what happened to a report, newest first."""
    check_query(state, call, {"page"})
    record = named(state, call, "report")
    entries = [_entry(record, each) for each in reversed(record.hidden["history"])]
    repeat = state.switches.links_repeat_query
    page, links = page_of(entries, call, prefix=PREFIX, repeat_query=repeat)
    return written({"data": _shown(page), "links": links}, call)


def _entry(record: Record, entry: Json) -> Record:
    """Answer an entry as something that has an id, for the cursors."""
    return Record(entry["id"], entry["type"], entry, {}, record.owner)


def _shown(page: Sequence[Record]) -> list[Json]:
    return [each.attributes for each in page]


def _note(state: State, record: Record, kind: str) -> None:
    record.hidden["history"].append(
        {
            "id": state.world.new_id("ract"),
            "type": kind,
            "created-at": moment(state.world.now()),
            "creator-name": "Sandbox",
        }
    )


def _finish_later(state: State, record: Record) -> None:
    run_entry = record.hidden["history"][-1]

    def finish(due: float) -> None:
        run_entry["completed-at"] = moment(due)
        record.attributes |= {"status": "ready", "completed-at": moment(due)}
        touch(state, record)

    if state.switches.report_seconds > 0:
        state.agenda.at(state.world.now() + state.switches.report_seconds, finish)
    else:
        finish(state.world.now())
