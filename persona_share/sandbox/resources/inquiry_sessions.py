"""Inquiry sessions and their devices."""

from typing import Any, Final

from persona_share.sandbox.jsonapi.body import STRING, STRINGS, Shape, read_body
from persona_share.sandbox.jsonapi.objects import kebab_keys, relationship, timestamp
from persona_share.sandbox.jsonapi.operations import (
    Operation,
    Routes,
    attributes_of,
    conflict,
    create_handler,
    mark_updated,
    meta_of,
    referenced_record,
    require_write_permission,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    ONE,
    Filters,
    check_include,
    check_query,
    list_handler,
    relates_to,
    retrieve_handler,
    without_include,
)
from persona_share.sandbox.jsonapi.rendering import render_many
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.organizations import CREDENTIAL_PREFIX, Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Caller, Request
from persona_share.sandbox.state.state import PREFIX, State


_NULL_ATTRIBUTES: Final = (
    "started-at",
    "expired-at",
    "mobile-sdk-name",
    "mobile-sdk-full-version",
    "device-handoff-method",
    "gps-latitude",
    "gps-longitude",
    "gps-precision",
)


def new_session(state: State, inquiry: Record, status: str = "active") -> Record:
    """Create a session of an inquiry, with its device and its network."""
    parents = (inquiry.id,)
    session = Record(
        state.runtime.new_id("iqse"),
        "inquiry-session",
        _session_attributes(state, status),
        {"inquiry": {"data": inquiry.identifier}},
        inquiry.owner,
        parents=parents,
    )
    device = _device(state, session)
    session.relationships["device"] = {"data": device.identifier}
    session.relationships["network"] = relationship(
        "network", state.runtime.new_id("net")
    )
    state.records.add(session)
    inquiry.relationships["sessions"]["data"].append(session.identifier)
    inquiry.invalidate()
    return session


def add_inquiry_session(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> ObjectRef:
    """Create a session; ``inquiry=`` names an inquiry of the same owner.

    Raises:
        ValueError: if there is no such inquiry.
    """
    given = kebab_keys(attributes)
    inquiry = state.records.owned("inquiry", given.pop("inquiry", ""), owner)
    if inquiry is None:
        message = "there is no inquiry with this id for the session"
        raise ValueError(message)
    session = new_session(state, inquiry)
    session.attributes |= given
    return ObjectRef(session.id, session.type)


def add_device(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> ObjectRef:
    """Create a device; ``session=`` names an inquiry session of the same owner.

    Raises:
        ValueError: if there is no such session.
    """
    given = kebab_keys(attributes)
    session = state.records.owned("inquiry-session", given.pop("session", ""), owner)
    if session is None:
        message = "there is no inquiry session with this id for the device"
        raise ValueError(message)
    device = _device(state, session, given.pop("id", None))
    device.attributes |= given
    return ObjectRef(device.id, device.type)


def _device(state: State, session: Record, device_id: str | None = None) -> Record:
    random = state.runtime.stream("devices")
    attributes: Json = {
        "device-vendor-id": None,
        "device-fingerprint": f"{random.getrandbits(64):016x}",
        "browser-fingerprint": f"{random.getrandbits(64):016x}",
    }
    device = Record(
        device_id or state.runtime.new_id("dev"),
        "device",
        attributes,
        {},
        session.owner,
        parents=(*session.parents, session.id),
        internal={"session": session.id},
    )
    state.records.add(device)
    return device


def _session_attributes(state: State, status: str) -> Json:
    random = state.runtime.stream("sessions")
    return {
        "status": status,
        "created-at": timestamp(state.runtime.now()),
        **dict.fromkeys(_NULL_ATTRIBUTES),
        # An address that is reserved for documentation (RFC 5737).
        "ip-address": f"192.0.2.{random.randrange(1, 255)}",
        "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Sandbox/1.0",
        "os-name": "Linux",
        "os-full-version": "6.1",
        "device-type": "desktop",
        "device-name": "Unknown",
        "browser-name": "Sandbox",
        "browser-full-version": "1.0",
        "is-proxy": False,
        "is-tor": False,
        "is-datacenter": False,
        "is-vpn": False,
        "threat-level": "low",
        "country-code": "US",
        "country-name": "United States",
        "region-code": "OR",
        "region-name": "Oregon",
        "latitude": round(random.uniform(42, 46), 4),
        "longitude": round(random.uniform(-124, -117), 4),
        "ip-connection-type": None,
        "ip-isp": None,
        "network-organization": None,
    }


CREATE: Final[Shape] = {"data": {"attributes": {"inquiry-id*": STRING}}}
EXPIRE_ALL: Final[Shape] = {"meta": {"inquiry-ids*": STRINGS}}
_MAX_INQUIRIES: Final = 100


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Create a session of an inquiry."""
    inquiry_id = attributes_of(body).get("inquiry-id")
    if inquiry_id is None:
        raise ApiError(400, "data.attributes.inquiry_id is missing")
    return new_session(
        state, referenced_record(state, inquiry_id, caller, "inquiry")
    ), None


def expire(state: State, session: Record, _body: Json) -> None:
    """Expire a session."""
    if session.attributes["status"] == "expired":
        raise conflict(state, "the session has expired already")
    expire_session(state, session)


def expire_all(state: State, request: Request) -> Response:
    """Expire all sessions of some inquiries."""
    check_query(state, request, ONE)
    check_include(request, "inquiry-session")
    require_write_permission(state, request.caller, "inquiry")
    body = read_body(request, EXPIRE_ALL, state.switches)
    ids = meta_of(body).get("inquiry-ids", ())
    if not 0 < len(ids) <= _MAX_INQUIRIES:
        raise ApiError(400, f"meta.inquiry_ids takes 1 to {_MAX_INQUIRIES} ids")
    inquiries = [
        referenced_record(state, each, request.caller, "inquiry") for each in ids
    ]
    expired = [
        each for inquiry in inquiries for each in expire_sessions(state, inquiry)
    ]
    return render_many(state, expired, None, without_include(request))


def one_time_link(state: State, _record: Record, _body: Json) -> Json:
    """Return the links that continue an inquiry; they are secrets."""
    secret = state.runtime.new_secret(CREDENTIAL_PREFIX, 24)
    origin = state.url.removesuffix(PREFIX)
    return {
        "one-time-link": f"{origin}/one-time-link/{secret}",
        "one-time-link-short": f"{origin}/l/{secret[-12:]}",
    }


def expire_sessions(state: State, inquiry: Record) -> list[Record]:
    """Expire the unexpired sessions of an inquiry and return them."""
    sessions = (
        state.records.get(each["id"]) for each in inquiry.related("sessions") or ()
    )
    unexpired = [
        each for each in sessions if each and each.attributes["status"] != "expired"
    ]
    for session in unexpired:
        expire_session(state, session)
    return unexpired


def expire_session(state: State, session: Record) -> None:
    """Expire one session."""
    now = timestamp(state.runtime.now())
    session.attributes |= {"status": "expired", "expired-at": now}
    mark_updated(state, session)


FILTERS: Final[Filters] = {"inquiry-id": relates_to("inquiry")}
DEVICE_FILTERS: Final[Filters] = {
    "inquiry-session-id": lambda record, value: record.internal.get("session") == value
}
_SESSION: Final = "/inquiry-sessions/{inquiry-session-id}"
ROUTES: Final[Routes] = {
    "GET /inquiry-sessions": Operation(
        "list-all-inquiry-sessions",
        list_handler("inquiry-session", FILTERS, paged="on_request"),
    ),
    "POST /inquiry-sessions": Operation(
        "create-an-inquiry-session",
        create_handler("inquiry-session", create, CREATE),
    ),
    "POST /inquiry-sessions/expire-all": Operation(
        "expire-inquiry-sessions", expire_all
    ),
    f"GET {_SESSION}": Operation(
        "retrieve-an-inquiry-session", retrieve_handler("inquiry-session")
    ),
    f"POST {_SESSION}/expire": Operation(
        "expire-an-inquiry-session", update_handler("inquiry-session", expire)
    ),
    f"POST {_SESSION}/generate-one-time-link": Operation(
        "generate-a-one-time-link-for-an-inquiry-session",
        update_handler("inquiry-session", one_time_link),
    ),
    "GET /devices": Operation(
        "list-all-devices",
        list_handler(
            "device", DEVICE_FILTERS, required=("inquiry-session-id",), paged="never"
        ),
    ),
    "GET /devices/{device-id}": Operation(
        "retrieve-a-device", retrieve_handler("device")
    ),
}
