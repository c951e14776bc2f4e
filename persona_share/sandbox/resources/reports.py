"""Reports: created, run, reviewed and monitored."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from persona_share.sandbox.jsonapi.body import (
    BOOLEAN,
    OBJECT,
    STRING,
    STRING_OR_NULL,
    STRINGS,
    Shape,
)
from persona_share.sandbox.jsonapi.objects import (
    add_to_inquiry,
    kebab_keys,
    relationship,
    relationship_to,
    timestamp,
)
from persona_share.sandbox.jsonapi.operations import (
    Change,
    Operation,
    Routes,
    attributes_of,
    conflict,
    create_handler,
    mark_updated,
    redact_route,
    referenced_record,
    tag_routes,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    Filters,
    check_query,
    list_handler,
    paginate,
    print_handler,
    relates_to,
    requested_record,
    retrieve_handler,
)
from persona_share.sandbox.jsonapi.rendering import json_response
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.fake_people import Person, fake_person
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Caller, Request
from persona_share.sandbox.state.state import PREFIX, State


#: The families of related objects, which are also the names of the relationships.
_RELATED_FAMILIES: Final = ("inquiry", "account", "transaction")


def add_report(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> ObjectRef:
    """Create a report, a ready watchlist report by default.

    ``kind=`` is the last part of its type; ``inquiry=``, ``account=`` and
    ``transaction=`` name objects of the same owner.
    """
    given = kebab_keys(attributes)
    kind, report_id = given.pop("kind", "watchlist"), given.pop("id", None)
    person = fake_person(state.runtime.stream("people"))
    relationships: dict[str, Json] = {}
    for name in _RELATED_FAMILIES:
        if (other := given.pop(name, None)) is not None:
            relationships[name] = relationship_to(state, other, name, owner)
    specific = (
        _SPECIFIC_ATTRIBUTES[kind](person) if kind in _SPECIFIC_ATTRIBUTES else {}
    )
    record = new_report(
        state, owner, kind, specific | given, relationships, report_id=report_id
    )
    if (inquiry := relationships.get("inquiry")) is not None:
        add_to_inquiry(state, inquiry["data"]["id"], "reports", record)
    return ObjectRef(record.id, record.type)


def new_report(
    state: State,
    owner: Environment,
    kind: str,
    attributes: Json,
    relationships: dict[str, Json],
    *,
    report_id: str | None = None,
    template: str | None = None,
) -> Record:
    """Create a report with the given attributes and record its first run."""
    now = timestamp(state.runtime.now())
    status = attributes.get("status", "ready")
    done = now if status == "ready" else None
    defaults: Json = {
        "status": status,
        "created-at": now,
        "completed-at": done,
        "redacted-at": None,
        "report-template-version-name": "v1",
        "has-match": False,
        "is-continuous": False,
        "is-recurring": False,
        "tags": [],
    }
    template = template or state.runtime.new_id("rptp")
    empty: dict[str, Json] = {name: {"data": None} for name in _RELATED_FAMILIES}
    empty["report-template"] = relationship(f"report-template/{kind}", template)
    record = Record(
        report_id or state.runtime.new_id("rep"),
        f"report/{kind}",
        defaults | attributes,
        empty | relationships,
        owner,
    )
    record.internal["history"] = [run_of(state, done)]
    state.records.add(record)
    return record


def run_of(state: State, completed_at: str | None, run_type: str = "initial") -> Json:
    """Return the history entry of a run."""
    return {
        "id": state.runtime.new_id("rpr"),
        "type": "run",
        "run-type": run_type,
        "scheduled-date": timestamp(state.runtime.now())[:10],
        "completed-at": completed_at,
        "matches": 0,
    }


def _watchlist(person: Person) -> Json:
    return {
        "name-first": person.first,
        "name-middle": person.middle,
        "name-last": person.last,
        "term": None,
        "birthdate": person.birthdate,
        "country-code": "US",
        "matched-lists": [],
        "ignore-list": [],
    }


_SPECIFIC_ATTRIBUTES: Final[dict[str, Callable[[Person], Json]]] = {
    "watchlist": _watchlist,
    "email-address": lambda person: {
        "email-address": person.email,
        "email-domain": "example.com",
    },
    "phone-number": lambda person: {"phone-number": person.phone},
}


CREATE: Final[Shape] = {
    "data": {
        "type": STRING,
        "attributes*": {
            "account-id": STRING,
            "reference-id": STRING,
            "report-template-id": STRING,
            "query": OBJECT,
        },
    },
    "meta": {
        "auto-create-account": BOOLEAN,
        "auto-create-account-type-id": STRING,
        "auto-create-account-reference-id": STRING,
        "processing-mode": STRING,
        "request-flags": STRINGS,
    },
}
DISMISS: Final[Shape] = {
    "data*": {
        "attributes": {"dismiss-type": STRING, "entity-id": STRING, "reason": STRING}
    }
}
#: The kinds of reports that can be requested.
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
    """Create a report, which is pending for the switch's seconds."""
    given = attributes_of(body)
    family, _, kind = body.get("data", {}).get("type", "").partition("/")
    if family != "report" or kind not in KINDS:
        raise ApiError(400, "data.type must be a type of report")
    relationships: dict[str, Json] = {}
    if "account-id" in given:
        relationships["account"] = {
            "data": referenced_record(
                state, given["account-id"], caller, "account"
            ).identifier
        }
    record = new_report(
        state,
        caller.environment,
        kind,
        {"status": "pending"},
        relationships,
        template=given.get("report-template-id"),
    )
    record.internal["reference-id"] = given.get("reference-id")
    _finish_later(state, record)
    return record, None


def run(state: State, record: Record, _body: Json) -> None:
    """Run a report again."""
    if record.attributes["status"] == "pending":
        raise conflict(state, "the report is running")
    record.attributes |= {"status": "pending", "completed-at": None}
    record.internal["history"].append(run_of(state, None, "manual"))
    _finish_later(state, record)


def monitor(kind: str, *, on: bool) -> Change:
    """Return the change that pauses or resumes continuous monitoring."""

    def change(state: State, record: Record, _body: Json) -> None:
        if record.internal.get("monitored", not on) is on:
            word = "monitored" if on else "paused"
            raise conflict(state, f"the report is already {word}")
        record.internal["monitored"] = on
        record.attributes["is-continuous"] = on
        _log(state, record, kind)

    return change


def dismiss(state: State, record: Record, _body: Json) -> None:
    """Dismiss the matches of a report."""
    record.attributes["has-match"] = False
    _log(state, record, "dismiss")


def list_history(state: State, request: Request) -> Response:
    """List the history of a report, newest first."""
    check_query(state, request, {"page"})
    record = requested_record(state, request, "report")
    entries = [_entry(record, each) for each in reversed(record.internal["history"])]
    repeat = state.switches.links_repeat_query
    page, links = paginate(entries, request, prefix=PREFIX, repeat_query=repeat)
    return json_response({"data": _history_attributes(page), "links": links}, request)


def _entry(record: Record, entry: Json) -> Record:
    """Return a history entry as a record, for the cursors."""
    return Record(entry["id"], entry["type"], entry, {}, record.owner)


def _history_attributes(page: Sequence[Record]) -> list[Json]:
    return [each.attributes for each in page]


def _log(state: State, record: Record, kind: str) -> None:
    record.internal["history"].append(
        {
            "id": state.runtime.new_id("ract"),
            "type": kind,
            "created-at": timestamp(state.runtime.now()),
            "creator-name": "Sandbox",
        }
    )


def _finish_later(state: State, record: Record) -> None:
    run_entry = record.internal["history"][-1]

    def finish(report: Record, due: float) -> None:
        run_entry["completed-at"] = timestamp(due)
        report.attributes |= {"status": "ready", "completed-at": timestamp(due)}
        mark_updated(state, report)

    if state.switches.report_seconds > 0:
        due = state.runtime.now() + state.switches.report_seconds
        state.scheduler.at(due, record, finish)
    else:
        finish(record, state.runtime.now())


REVIEW: Final[Shape] = {
    "data*": {
        "attributes*": {
            "review-type*": STRING,
            "review-status*": STRING,
            "record-token": STRING,
            "risk-level": STRING_OR_NULL,
            "comment": STRING_OR_NULL,
            "notify-on-change": BOOLEAN,
        }
    }
}
_REVIEW_VALUES: Final[Mapping[str, frozenset[str | None]]] = {
    "review-type": frozenset({"all_records", "record"}),
    "review-status": frozenset(
        {"pending", "indeterminate", "true_positive", "false_positive"}
    ),
    "risk-level": frozenset({"material", "immaterial", None}),
}


def review(state: State, record: Record, body: Json) -> None:
    """Record a review decision on the matches of a report."""
    given = attributes_of(body)
    for name, values in _REVIEW_VALUES.items():
        if name in given and given[name] not in values:
            details = f"data.attributes.{name.replace('-', '_')} has an unknown value"
            raise ApiError(400, details, pointer=f"/data/attributes/{name}")
    if given["review-type"] == "record" and not given.get("record-token"):
        raise ApiError(400, "data.attributes.record_token is missing")
    record.internal["review"] = given
    _log(state, record, "review")


FILTERS: Final[Filters] = {
    "reference-id": lambda record, value: record.internal.get("reference-id") == value,
    "account-id": relates_to("account"),
}
_REPORT: Final = "/reports/{report-id}"
ROUTES: Final[Routes] = {
    "GET /reports": Operation("list-all-reports", list_handler("report", FILTERS)),
    "POST /reports": Operation(
        "create-a-report", create_handler("report", create, CREATE)
    ),
    f"GET {_REPORT}": Operation("retrieve-a-report", retrieve_handler("report")),
    **redact_route("report", _REPORT, "redact-a-report"),
    f"GET {_REPORT}/history": Operation("list-report-history", list_history),
    f"GET {_REPORT}/print": Operation("print-report-pdf", print_handler("report")),
    f"POST {_REPORT}/run": Operation(
        "report-action-re-run-report", update_handler("report", run)
    ),
    f"POST {_REPORT}/pause": Operation(
        "report-action-pause-continuous-monitoring",
        update_handler("report", monitor("pause", on=False)),
    ),
    f"POST {_REPORT}/resume": Operation(
        "report-action-resume-continuous-monitoring",
        update_handler("report", monitor("resume", on=True)),
    ),
    f"POST {_REPORT}/dismiss": Operation(
        "dismiss-matches", update_handler("report", dismiss, DISMISS)
    ),
    f"POST {_REPORT}/review": Operation(
        "review-matches", update_handler("report", review, REVIEW)
    ),
    **tag_routes(
        "report",
        _REPORT,
        "reports-add-tag",
        "reports-remove-tag",
        "reports-set-all-tags",
    ),
}
