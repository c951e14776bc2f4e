"""The retrieve and list operations, which are alike for every kind of object."""

from collections.abc import Callable, Collection, Iterable, Mapping

from persona_share.model.ids import is_id
from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.includes import check_include
from persona_share.sandbox.limits import WINDOW
from persona_share.sandbox.paging import page_of
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import MANY, ONE, Test, asked_filters, check_query
from persona_share.sandbox.records import Record
from persona_share.sandbox.rendering import written
from persona_share.sandbox.state import PREFIX, State


Handler = Callable[[State, Call], Reply]


def retriever(family: str, object_type: str | None = None) -> Handler:
    """Answer the handler that reads one object of a family, or of one type only."""

    def retrieve(state: State, call: Call) -> Reply:
        check_query(state, call, ONE)
        check_include(call, family)
        record = named(state, call, family, object_type=object_type)
        return state.rendering.one(record, call)

    return retrieve


def named(
    state: State,
    call: Call,
    family: str,
    verb: str = "read",
    *,
    object_type: str | None = None,
) -> Record:
    """Answer the object that the path names.

    Raises:
        Problem: 404 where there is none, 403 where the caller has no permission.
    """
    object_id = call.object_id or ""
    if not is_id(object_id):
        raise Problem(404)
    record = state.records.reached(family, object_id, call.caller, verb)
    if object_type is not None and record.type != object_type:
        raise Problem(404)
    return record


def lister(
    family: str,
    filters: Mapping[str, Test],
    *,
    required: Collection[str] = (),
    paged: bool = True,
) -> Handler:
    """Answer the handler that lists a family, by pages where the API has them."""

    def listed(state: State, call: Call) -> Reply:
        check_query(state, call, MANY if paged else {"filter"}, filters)
        tests = asked_filters(call, filters, required)
        found = state.records.listed(family, call.caller)
        return paged_reply(state, call, found, tests, whole=not paged)

    return listed


def paged_reply(
    state: State,
    call: Call,
    records: Iterable[Record],
    tests: Collection[tuple[Test, str]],
    *,
    whole: bool = False,
) -> Reply:
    """Answer the page that a call asks for of what passes the tests."""
    found = [each for each in records if all(test(each, v) for test, v in tests)]
    if whole:
        return state.rendering.many(found, {"prev": None, "next": None}, call)
    repeat = state.switches.links_repeat_query
    page, links = page_of(found, call, prefix=PREFIX, repeat_query=repeat)
    return state.rendering.many(page, links, call)


def nowhere(_state: State, _call: Call) -> Reply:
    """Answer a path that is no operation."""
    raise Problem(404)


def wrong_method(_state: State, _call: Call) -> Reply:
    """Answer a path that other methods have operations for (RFC 9110, 15.5.6)."""
    raise Problem(405)


def list_verifications(state: State, call: Call) -> Reply:
    """List verifications where the switch allows it: no page of the API says so."""
    if not state.switches.lists_verifications:
        raise Problem(404)
    return lister("verification", {})(state, call)


def rate_limits(state: State, call: Call) -> Reply:
    """Tell what is left of the caller's limits."""
    check_query(state, call, ())
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
