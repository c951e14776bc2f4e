"""Inquiry sessions, and the devices that they were on."""

from typing import Any, Final

from persona_share.sandbox.making import kebab_keys, moment, one
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State


_UNKNOWN: Final = (
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
    """Make a session of an inquiry, with its device and its network."""
    under = (inquiry.id,)
    session = Record(
        state.world.new_id("iqse"),
        "inquiry-session",
        _seen(state, status),
        {"inquiry": {"data": inquiry.name}},
        inquiry.owner,
        under=under,
    )
    device = _device(state, session)
    session.relationships["device"] = {"data": device.name}
    session.relationships["network"] = one("network", state.world.new_id("net"))
    state.records.add(session)
    inquiry.relationships["sessions"]["data"].append(session.name)
    inquiry.changed()
    return session


def add_inquiry_session(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> Added:
    """Make a session; ``inquiry=`` names an inquiry of the same owner.

    Raises:
        ValueError: where there is no such inquiry.
    """
    given = kebab_keys(attributes)
    inquiry = state.records.owned("inquiry", given.pop("inquiry", ""), owner)
    if inquiry is None:
        message = "there is no inquiry of this id to be a session of"
        raise ValueError(message)
    session = new_session(state, inquiry)
    session.attributes |= given
    return Added(session.id, session.type)


def add_device(state: State, owner: Environment, attributes: dict[str, Any]) -> Added:
    """Make a device; ``session=`` names an inquiry session of the same owner.

    Raises:
        ValueError: where there is no such session.
    """
    given = kebab_keys(attributes)
    session = state.records.owned("inquiry-session", given.pop("session", ""), owner)
    if session is None:
        message = "there is no inquiry session of this id to be a device of"
        raise ValueError(message)
    device = _device(state, session, given.pop("id", None))
    device.attributes |= given
    return Added(device.id, device.type)


def _device(state: State, session: Record, device_id: str | None = None) -> Record:
    dice = state.world.stream("devices")
    made: Json = {
        "device-vendor-id": None,
        "device-fingerprint": f"{dice.getrandbits(64):016x}",
        "browser-fingerprint": f"{dice.getrandbits(64):016x}",
    }
    device = Record(
        device_id or state.world.new_id("dev"),
        "device",
        made,
        {},
        session.owner,
        under=(*session.under, session.id),
        hidden={"session": session.id},
    )
    state.records.add(device)
    return device


def _seen(state: State, status: str) -> Json:
    dice = state.world.stream("sessions")
    return {
        "status": status,
        "created-at": moment(state.world.now()),
        **dict.fromkeys(_UNKNOWN),
        # An address of the range for documentation (RFC 5737).
        "ip-address": f"192.0.2.{dice.randrange(1, 255)}",
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
        "latitude": round(dice.uniform(42, 46), 4),
        "longitude": round(dice.uniform(-124, -117), 4),
        "ip-connection-type": None,
        "ip-isp": None,
        "network-organization": None,
    }
