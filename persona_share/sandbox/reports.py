"""Reports of the kinds that partners share most."""

from collections.abc import Callable
from typing import Any, Final

from persona_share.sandbox.making import kebab_keys, moment, one, reference
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import Person, person
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State


#: Relationships of a report, and the family that each one names.
_KIN: Final = ("inquiry", "account", "transaction")


def add_report(state: State, owner: Environment, attributes: dict[str, Any]) -> Added:
    """Make a report, a ready watchlist report unless the arguments say otherwise.

    ``kind=`` is the last part of its type; ``inquiry=``, ``account=`` and
    ``transaction=`` name objects of the same owner.
    """
    given = kebab_keys(attributes)
    kind, report_id = given.pop("kind", "watchlist"), given.pop("id", None)
    who = person(state.world.stream("people"))
    kin: dict[str, Json] = {}
    for name in _KIN:
        if (other := given.pop(name, None)) is not None:
            kin[name] = reference(state, other, name, owner)
    own = _OWN[kind](who) if kind in _OWN else {}
    record = new_report(state, owner, kind, own | given, kin, report_id=report_id)
    if (inquiry := kin.get("inquiry")) is not None:
        holder = state.records.get(inquiry["data"]["id"])
        if holder is not None:
            holder.relationships["reports"]["data"].append(record.name)
            holder.changed()
    return Added(record.id, record.type)


def new_report(
    state: State,
    owner: Environment,
    kind: str,
    attributes: Json,
    kin: dict[str, Json],
    *,
    report_id: str | None = None,
    template: str | None = None,
) -> Record:
    """Make a report of just what is given, and note its first run."""
    now = moment(state.world.now())
    status = attributes.get("status", "ready")
    done = now if status == "ready" else None
    made: Json = {
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
    template = template or state.world.new_id("rptp")
    names: dict[str, Json] = {name: {"data": None} for name in _KIN}
    names["report-template"] = one(f"report-template/{kind}", template)
    record = Record(
        report_id or state.world.new_id("rep"),
        f"report/{kind}",
        made | attributes,
        names | kin,
        owner,
    )
    record.hidden["history"] = [run_of(state, done)]
    state.records.add(record)
    return record


def run_of(state: State, completed_at: str | None, run_type: str = "initial") -> Json:
    """Answer a run as the history tells it."""
    return {
        "id": state.world.new_id("rpr"),
        "type": "run",
        "run-type": run_type,
        "scheduled-date": moment(state.world.now())[:10],
        "completed-at": completed_at,
        "matches": 0,
    }


def _watchlist(who: Person) -> Json:
    return {
        "name-first": who.first,
        "name-middle": who.middle,
        "name-last": who.last,
        "term": None,
        "birthdate": who.birthdate,
        "country-code": "US",
        "matched-lists": [],
        "ignore-list": [],
    }


_OWN: Final[dict[str, Callable[[Person], Json]]] = {
    "watchlist": _watchlist,
    "email-address": lambda who: {
        "email-address": who.email,
        "email-domain": "example.com",
    },
    "phone-number": lambda who: {"phone-number": who.phone},
}
