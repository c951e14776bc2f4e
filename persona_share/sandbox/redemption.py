"""Redeeming a share token: asked for at once, done later, by clone or by hydration."""

from typing import Final

from persona_share.sandbox.bodies import TEXT, Shape, read_body
from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.cloning import CLONEABLE, clone, hydrate
from persona_share.sandbox.effects import Effect
from persona_share.sandbox.includes import check_include
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import ONE, check_query
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.share_tokens import conflict, named
from persona_share.sandbox.share_view import events_of, type_name, view_of
from persona_share.sandbox.sharing import ShareToken
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import attributes_of, is_redacted, meta_of, touch


REDEEM: Final[Shape] = {
    "data": {"attributes": {"destination-id": TEXT}},
    "meta": {
        "field-mappings": [
            {"source-field-name*": TEXT, "destination-field-name*": TEXT}
        ]
    },
}
_HYDRATING: Final = ("account", "inquiry", "transaction")


def redeem(state: State, call: Call) -> Reply:
    """Begin to redeem a share token; the answer says pending."""
    check_query(state, call, ONE)
    check_include(call, "connect")
    token = _redeemable_by(state, call)
    body = read_body(call, REDEEM, state.switches)
    _check_state(state, token)
    destination_id = attributes_of(body).get("destination-id")
    mappings = meta_of(body).get("field-mappings", [])
    if destination_id is None:
        _check_clone(state, token, mappings)
        target = None
    else:
        target = _target(state, call, token, destination_id)
    now = state.world.now()
    token.status, token.pending_at, token.updated_at = "pending", now, now
    token.failed_at = token.failure_reason = None
    token.redeem_mode = "clone" if target is None else "hydrate"
    token.redeemer = call.caller.environment
    token.destination = None if target is None else _name(target)
    token.mappings = tuple(
        (each["source-field-name"], each["destination-field-name"]) for each in mappings
    )
    due = now + state.switches.redemption_seconds
    state.agenda.at(due, lambda at: _finish(state, token, target, at))
    view = view_of(state, token, call.caller)
    return state.rendering.one(view, call, status=202)


def _redeemable_by(state: State, call: Call) -> ShareToken:
    """Answer the token, which the destination sees in the wrong environment, too."""
    token = state.sharing.share_tokens.get(call.object_id or "")
    if token is not None and token.to(call.caller):
        if call.caller.environment.kind != token.owner.kind:
            status = state.switches.redeem_refusal_status
            raise Problem(status, "the share token is of another type of environment")
    else:
        token = named(state, call)
    if not token.to(call.caller):
        raise Problem(403, "only the destination may redeem a share token")
    return named(state, call)


def _check_state(state: State, token: ShareToken) -> None:
    again = token.status == "failed" and state.switches.failed_can_be_redeemed
    if token.status != "created" and not again:
        raise conflict(state, token)
    if token.connection.status != "active":
        status = state.switches.share_conflict_status
        raise Problem(status, f"the connection is {token.connection.status}")


def _check_clone(state: State, token: ShareToken, mappings: list[Json]) -> None:
    source = token.source
    if source.family != "inquiry" and source.type not in CLONEABLE:
        status = state.switches.redeem_refusal_status
        raise Problem(status, "this source needs data.attributes.destination_id")
    if mappings and state.switches.mappings_with_clone == "refused":
        raise Problem(400, "meta.field_mappings is not permitted without a destination")


def _target(state: State, call: Call, token: ShareToken, destination_id: str) -> Record:
    if token.source.family not in _HYDRATING:
        status = state.switches.redeem_refusal_status
        raise Problem(status, "this source cannot hydrate another object")
    for family in _HYDRATING:
        target = state.records.owned(family, destination_id, call.caller.environment)
        if target is not None:
            return target
    raise Problem(404, "data.attributes.destination_id is not found")


def _finish(state: State, token: ShareToken, target: Record | None, due: float) -> None:
    token.updated_at = due
    reason = _failure(state, token)
    if reason is not None:
        token.status, token.failed_at, token.failure_reason = "failed", due, reason
        return
    if token.redeemer is None:
        return
    if target is None:
        target = clone(state, token.source, token.redeemer)
    else:
        hydrate(state, token.source, target, token.mappings)
        touch(state, target)
    token.destination = _name(target)
    token.status, token.redeemed_at = "redeemed", due
    events_of(state, token, "redeemed", due)


def _failure(state: State, token: ShareToken) -> str | None:
    """Answer why a redemption fails: because a test wants it, or by itself."""
    fault = state.faults.take("*", Effect.FAIL_REDEMPTION)
    if fault is not None:
        return fault.reason
    return "source_redacted" if is_redacted(token.source) else None


def _name(record: Record) -> Json:
    return {"type": type_name(record), "id": record.id}
