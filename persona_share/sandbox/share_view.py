"""How a share token looks to each of the two organizations."""

from persona_share.sandbox.calls import Caller
from persona_share.sandbox.events import emit
from persona_share.sandbox.making import moment
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.peeking import source_data
from persona_share.sandbox.records import PERMISSIONS_OF, Json, Record
from persona_share.sandbox.sharing import ShareToken
from persona_share.sandbox.state import State


def view_of(
    state: State, token: ShareToken, caller: Caller, *, peek: bool = False
) -> Record:
    """Answer a share token as an object, as this caller sees it."""
    from_, to = token.from_(caller), token.to(caller)
    direction = "outbound" if from_ else "inbound"
    if from_ and to:
        direction = state.switches.self_direction
    view = _view(state, token, caller.environment, direction, outbound=from_)
    if peek and to and state.switches.can_peek:
        data = source_data(state, token.source)
        if data is not None:
            view.attributes["source-data"] = data
    return view


def events_of(state: State, token: ShareToken, what: str, at: float) -> None:
    """Tell both organizations what became of a share token."""
    source = token.owner
    partner = state.organizations[token.connection.destination_id]
    ends: dict[str, Environment] = {
        "outbound": source,
        "inbound": token.redeemer or partner.environments[source.kind],
    }
    for direction, environment in ends.items():
        view = _view(
            state, token, environment, direction, outbound=direction == "outbound"
        )
        emit(state, view, f"connect/share-token.{direction}-{what}", at)


def type_name(record: Record) -> str:
    """Answer a type as Connect's relationships call it: a transaction is a txn."""
    return PERMISSIONS_OF.get(record.type, record.type)


def _view(
    state: State,
    token: ShareToken,
    environment: Environment,
    direction: str,
    *,
    outbound: bool,
) -> Record:
    shape = state.switches.share_shape
    attributes = _attributes(token, direction)
    connection = {"type": "connect/connection", "id": token.connection.id}
    kin: dict[str, Json] = {"connection": {"data": connection}}
    if outbound:
        source = {"type": _source_type(token.source), "id": token.source.id}
        kin |= {"creator": {"data": token.creator}, "source": {"data": source}}
    else:
        kin["destination"] = {"data": token.destination}
    if shape != "current":
        attributes["source-id"] = token.source.id
    if shape == "open_beta":
        kin["connect-connection"] = kin.pop("connection")
    if shape == "closed_beta":
        kin = {}
        if attributes["status"] == "created":
            attributes["status"] = "new"
    view = Record(token.id, "connect/share-token", attributes, kin, environment)
    view.hidden["connection"] = token.connection.id
    return view


def _attributes(token: ShareToken, direction: str) -> Json:
    return {
        "status": token.status,
        "direction": direction,
        "created-at": moment(token.created_at),
        "updated-at": moment(token.updated_at),
        "pending-at": _moment(token.pending_at),
        "redeemed-at": _moment(token.redeemed_at),
        "expires-at": moment(token.expires_at),
        "failed-at": _moment(token.failed_at),
        "failure-reason": token.failure_reason,
        "redeem-mode": token.redeem_mode,
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else moment(seconds)


def _source_type(record: Record) -> str:
    """Answer the type of a source: of a verification, the family alone."""
    return PERMISSIONS_OF.get(record.family, record.family)
