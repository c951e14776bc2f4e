"""The retrieve and list operations, which are alike for every kind of object."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from persona_share.model.ids import is_id
from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.limits import WINDOW
from persona_share.sandbox.paging import page_of
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Record
from persona_share.sandbox.rendering import written
from persona_share.sandbox.state import PREFIX, State


Handler = Callable[[State, Call], Reply]
Test = Callable[[Record, str], bool]

#: The most ids of one filter.
MOST_IDS: Final = 100


def retriever(family: str, object_type: str | None = None) -> Handler:
    """Answer the handler that reads one object of a family, or of one type only."""

    def retrieve(state: State, call: Call) -> Reply:
        object_id = call.object_id or ""
        if not is_id(object_id):
            raise Problem(404)
        record = state.records.visible(family, object_id, call.caller)
        if object_type is not None and record.type != object_type:
            raise Problem(404)
        return state.rendering.one(record, call)

    return retrieve


def lister(family: str, filters: Mapping[str, Test]) -> Handler:
    """Answer the handler that lists a family by pages."""

    def listed(state: State, call: Call) -> Reply:
        tests = _tests(call, filters)
        found = [
            record
            for record in state.records.listed(family, call.caller)
            if all(test(record, value) for test, value in tests)
        ]
        repeat = state.switches.links_repeat_query
        page, links = page_of(found, call, prefix=PREFIX, repeat_query=repeat)
        return state.rendering.many(page, links, call)

    return listed


def nowhere(_state: State, _call: Call) -> Reply:
    """Answer a path that is no operation."""
    raise Problem(404)


def list_verifications(state: State, call: Call) -> Reply:
    """List verifications where the switch allows it: no page of the API says so."""
    if not state.switches.lists_verifications:
        raise Problem(404)
    return lister("verification", {})(state, call)


def rate_limits(state: State, call: Call) -> Reply:
    """Tell what is left of the caller's limits."""
    caller, now = call.caller, state.world.now()
    windows = [caller.charged.window]
    if caller.key is not None and caller.key.window.limit is not None:
        windows.append(caller.key.window)
    data = [
        {
            "type": "rate-limit/api",
            "attributes": {
                "limit": window.announced,
                "remaining": window.remaining,
                "seconds-to-reset": int(min(WINDOW, window.resets_in(now))),
            },
        }
        for window in windows
    ]
    return written({"data": data}, call)


def _tests(call: Call, filters: Mapping[str, Test]) -> list[tuple[Test, str]]:
    tests = []
    for name, value in call.query:
        if not name.startswith("filter["):
            continue
        test = filters.get(name[7:-1].replace("_", "-"))
        if test is None:
            raise Problem(400, "a filter was sent that is not permitted here")
        if value.count(",") >= MOST_IDS:
            raise Problem(400, f"a filter takes {MOST_IDS} values at most")
        tests.append((test, value))
    return tests


def _is_one_of(name: str) -> Test:
    def test(record: Record, value: str) -> bool:
        return record.attributes.get(name) in value.split(",")

    return test


def _has_id(record: Record, value: str) -> bool:
    return record.id in value.split(",")


def _of_account(record: Record, value: str) -> bool:
    account: Mapping[str, Any] | None = record.relationships["account"]["data"]
    return account is not None and account["id"] in value.split(",")


#: The filters of the list of inquiries.
INQUIRY_FILTERS: Final[Mapping[str, Test]] = {
    "inquiry-id": _has_id,
    "account-id": _of_account,
    "note": lambda record, value: record.attributes["note"] == value,
    "reference-id": lambda record, value: record.attributes["reference-id"] == value,
    "status": _is_one_of("status"),
    "created-at-start": lambda record, value: record.attributes["created-at"] >= value,
    "created-at-end": lambda record, value: record.attributes["created-at"] <= value,
}
#: The filters of the list of accounts.
ACCOUNT_FILTERS: Final[Mapping[str, Test]] = {
    "reference-id": lambda record, value: record.attributes["reference-id"] == value,
}
