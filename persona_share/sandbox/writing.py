"""The operations that change or make an object: what they all have in common."""

from collections.abc import Callable

from persona_share.sandbox.bodies import Shape, read_body
from persona_share.sandbox.calls import Call, Caller, Reply
from persona_share.sandbox.events import emit
from persona_share.sandbox.includes import check_include
from persona_share.sandbox.making import moment
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import ONE, check_query
from persona_share.sandbox.reading import Handler, named
from persona_share.sandbox.records import Json, Record, permission_of
from persona_share.sandbox.state import State


#: Changes an object as the body says, and answers the ``meta`` of the answer, if any.
Change = Callable[[State, Record, Json], Json | None]
#: Makes an object as the body says, and answers it with the ``meta`` of the answer.
Make = Callable[[State, Caller, Json], tuple[Record, Json | None]]

#: The body of an operation that takes none.
NOTHING: Shape = {}


def changer(
    family: str,
    change: Change,
    shape: Shape = NOTHING,
    *,
    event: str | None = None,
    status: int = 200,
    object_type: str | None = None,
) -> Handler:
    """Answer the handler that changes one object of a family."""

    def changed(state: State, call: Call) -> Reply:
        check_query(state, call, ONE)
        check_include(call, family)
        record = named(state, call, family, "write", object_type=object_type)
        body = read_body(call, shape, state.switches)
        refuse_redacted(record)
        meta = change(state, record, body)
        touch(state, record)
        if event is not None:
            emit(state, record, event)
        return state.rendering.one(record, call, status=status, meta=meta)

    return changed


def maker(
    family: str, make: Make, shape: Shape, *, event: str | None = None
) -> Handler:
    """Answer the handler that makes one object of a family."""

    def made(state: State, call: Call) -> Reply:
        check_query(state, call, ONE)
        check_include(call, family)
        require(call.caller, family)
        body = read_body(call, shape, state.switches)
        record, meta = make(state, call.caller, body)
        if event is not None:
            emit(state, record, event)
        return state.rendering.one(record, call, status=201, meta=meta)

    return made


def require(caller: Caller, family: str) -> None:
    """Refuse with 403 who may not write this family at large."""
    if not caller.may(permission_of(family, "write"), ""):
        raise Problem(403, "the credential may not make or change such objects")


def touch(state: State, record: Record) -> None:
    """Note that an object was changed just now."""
    record.changed_at = state.world.now()
    if "updated-at" in record.attributes:
        record.attributes["updated-at"] = moment(record.changed_at)
    record.changed()


def is_redacted(record: Record) -> bool:
    """Answer whether the personal data of an object are gone."""
    hidden = record.hidden.get("redacted")
    return bool(record.attributes.get("redacted-at") or hidden)


def refuse_redacted(record: Record) -> None:
    """Refuse with 409 to change what was redacted."""
    if is_redacted(record):
        raise Problem(409, title=f"{record.family.title()} already redacted")


def conflict(state: State, details: str) -> Problem:
    """Answer the refusal of a change that the object's state does not allow."""
    return Problem(state.switches.state_conflict_status, details)


def found(
    state: State, record_id: str, owner: Record | Caller, *families: str
) -> Record:
    """Answer the object that a body names, of the same owner.

    Raises:
        Problem: where the switches say so, for one that is not there.
    """
    environment = owner.owner if isinstance(owner, Record) else owner.environment
    for family in families:
        record = state.records.owned(family, record_id, environment)
        if record is not None:
            return record
    raise Problem(
        state.switches.unknown_reference_status, "an object is named that is not found"
    )


def attributes_of(body: Json) -> Json:
    """Answer ``data.attributes`` of a body that was read."""
    attributes: Json = body.get("data", {}).get("attributes", {})
    return attributes


def meta_of(body: Json) -> Json:
    """Answer ``meta`` of a body that was read."""
    meta: Json = body.get("meta", {})
    return meta


def unless_null(given: Json) -> Json:
    """Answer what is not null."""
    return {name: value for name, value in given.items() if value is not None}
