"""Redeeming a share token: asked for at once, done later, by clone or by hydration."""

import copy
from collections.abc import Iterable
from typing import Any, Final

from persona_share.sandbox.behavior.faults import Effect
from persona_share.sandbox.connect.share_tokens import (
    conflict,
    emit_share_token_events,
    requested_share_token,
    type_name,
    view_of,
)
from persona_share.sandbox.jsonapi.body import STRING, Shape, kebab, read_body
from persona_share.sandbox.jsonapi.create import timestamp
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.query import ONE, check_include, check_query
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.jsonapi.update import (
    attributes_of,
    is_redacted,
    mark_updated,
    meta_of,
)
from persona_share.sandbox.resources.inquiries import set_status
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.files import FileUrl, StoredFile
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.sharing import ShareToken
from persona_share.sandbox.state.state import State


REDEEM: Final[Shape] = {
    "data": {"attributes": {"destination-id": STRING}},
    "meta": {
        "field-mappings": [
            {"source-field-name*": STRING, "destination-field-name*": STRING}
        ]
    },
}
_HYDRATING: Final = ("account", "inquiry", "transaction")


def redeem(state: State, request: Request) -> Response:
    """Start to redeem a share token; the response has the status pending."""
    check_query(state, request, ONE)
    check_include(request, "connect")
    token = _redeemable_by(state, request)
    body = read_body(request, REDEEM, state.switches)
    _check_state(state, token)
    destination_id = attributes_of(body).get("destination-id")
    mappings = meta_of(body).get("field-mappings", [])
    if destination_id is None:
        _check_clone(state, token, mappings)
        target = None
    else:
        target = _target(state, request, token, destination_id)
    now = state.runtime.now()
    token.status, token.pending_at, token.updated_at = "pending", now, now
    token.failed_at = token.failure_reason = None
    token.redeem_mode = "clone" if target is None else "hydrate"
    token.redeemer = request.caller.environment
    token.destination = None if target is None else _name(target)
    token.mappings = tuple(
        (each["source-field-name"], each["destination-field-name"]) for each in mappings
    )
    due = now + state.switches.redemption_seconds
    state.scheduler.at(due, lambda at: _finish(state, token, target, at))
    view = view_of(state, token, request.caller)
    return render_one(state, view, request, status=202)


def _redeemable_by(state: State, request: Request) -> ShareToken:
    """Return the share token, also for the destination's other environment."""
    token = state.sharing.share_tokens.get(request.object_id or "")
    if token is not None and token.is_destination(request.caller):
        if request.caller.environment.kind != token.owner.kind:
            status = state.switches.redeem_refusal_status
            raise ApiError(status, "the share token is of another type of environment")
    else:
        token = requested_share_token(state, request)
    if not token.is_destination(request.caller):
        raise ApiError(403, "only the destination may redeem a share token")
    return requested_share_token(state, request)


def _check_state(state: State, token: ShareToken) -> None:
    retry = token.status == "failed" and state.switches.failed_can_be_redeemed
    if token.status != "created" and not retry:
        raise conflict(state, token)
    if token.connection.status != "active":
        status = state.switches.share_conflict_status
        raise ApiError(status, f"the connection is {token.connection.status}")


def _check_clone(state: State, token: ShareToken, mappings: list[Json]) -> None:
    source = token.source
    if source.family != "inquiry" and source.type not in CLONEABLE:
        status = state.switches.redeem_refusal_status
        raise ApiError(status, "this source needs data.attributes.destination_id")
    if mappings and state.switches.mappings_with_clone == "refused":
        raise ApiError(
            400, "meta.field_mappings is not permitted without a destination"
        )


def _target(
    state: State, request: Request, token: ShareToken, destination_id: str
) -> Record:
    if token.source.family not in _HYDRATING:
        status = state.switches.redeem_refusal_status
        raise ApiError(status, "this source cannot hydrate another object")
    for family in _HYDRATING:
        target = state.records.owned(family, destination_id, request.caller.environment)
        if target is not None:
            return target
    raise ApiError(404, "data.attributes.destination_id is not found")


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
        mark_updated(state, target)
    token.destination = _name(target)
    token.status, token.redeemed_at = "redeemed", due
    emit_share_token_events(state, token, "redeemed", due)


def _failure(state: State, token: ShareToken) -> str | None:
    """Return why a redemption fails: because a test wants it, or by itself."""
    fault = state.faults.take("*", Effect.FAIL_REDEMPTION)
    if fault is not None:
        return fault.reason
    return "source_redacted" if is_redacted(token.source) else None


def _name(record: Record) -> Json:
    return {"type": type_name(record), "id": record.id}


_PREFIXES: Final = {"inquiry": "inq", "verification": "ver"}
#: Verifications that can be cloned.
CLONEABLE: Final = frozenset(
    f"verification/{kind}"
    for kind in (
        "government-id",
        "selfie",
        "database",
        "document",
        "email-address",
        "phone-number",
    )
)


def clone(state: State, source: Record, owner: Environment) -> Record:
    """Create a new object of a source; of an inquiry, with its verifications."""
    made = _copied(state, source, owner)
    for relationship_to in source.related("verifications") or ():
        verification = state.records.get(relationship_to["id"])
        if verification is not None and verification.type in CLONEABLE:
            copied = _copied(state, verification, owner)
            copied.relationships["inquiry"] = {"data": made.identifier}
            made.relationships["verifications"]["data"].append(copied.identifier)
    return made


def hydrate(
    state: State, source: Record, target: Record, mappings: Iterable[tuple[str, str]]
) -> None:
    """Copy fields into an existing object: by equal names, then by the mappings.

    An inquiry is run then, as its template would.
    """
    theirs, ours = source.attributes["fields"], target.attributes["fields"]
    spelled = {kebab(name): name for name in ours}
    validated = set()
    for name, field in theirs.items():
        mine = spelled.get(kebab(name))
        if mine is not None and _fits(field, ours[mine]):
            ours[mine] = _deep_copy(state, field)
            validated.add(mine)
    by_name = {kebab(name): field for name, field in theirs.items()}
    for from_name, to_name in mappings:
        found = by_name.get(kebab(from_name))
        to_field = spelled.get(kebab(to_name), to_name)
        fits = to_field not in ours or _fits(found, ours[to_field])
        if found is not None and to_field not in validated and fits:
            ours[to_field] = _deep_copy(state, found)
    if target.family == "inquiry":
        set_status(state, target, state.switches.hydrated_status)


def _fits(field: Any, mine: Any) -> bool:
    """Return whether two fields of one name hold the same kind of thing."""
    both = isinstance(field, dict) and isinstance(mine, dict)
    return both and field.get("type") == mine.get("type")


def _copied(state: State, source: Record, owner: Environment) -> Record:
    attributes: Json = _deep_copy(state, source.attributes)
    now = timestamp(state.runtime.now())
    attributes |= {k: now for k in ("created-at", "updated-at") if k in attributes}
    related_records = {
        name: _emptied(value) for name, value in source.relationships.items()
    }
    new_id = state.runtime.new_id(_PREFIXES[source.family])
    made = Record(new_id, source.type, attributes, related_records, owner)
    state.records.add(made)
    return made


def _emptied(relationship: Json) -> Json:
    """Return a relationship that names nothing of the source's."""
    return {"data": [] if isinstance(relationship.get("data"), list) else None}


def _deep_copy(state: State, value: Any) -> Any:
    """Return a deep copy, with files of its own."""
    if isinstance(value, dict):
        return {k: _deep_copy(state, each) for k, each in value.items()}
    if isinstance(value, list):
        return [_deep_copy(state, each) for each in value]
    if isinstance(value, StoredFile):
        return state.files.add(value.filename, value.content, value.media_type)
    if isinstance(value, FileUrl):
        return FileUrl(_deep_copy(state, value.file))
    return copy.copy(value)


ROUTES: Final[Routes] = {
    "POST /connect/share-tokens/{share-token-id}/redeem": Operation(
        "redeem-share-token", redeem
    ),
}
