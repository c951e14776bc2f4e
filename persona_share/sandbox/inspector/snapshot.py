"""The state of a sandbox as JSON without credentials, for the page and the log."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.state.grants import Code, Token
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Exchange, masked
from persona_share.sandbox.state.state import State
from persona_share.sandbox.state.webhooks import Webhook


_MAX_ENTRIES: Final = 100
#: A token is due for replacement when this share of its lifetime remains …
_DUE_SHARE: Final = 0.25
#: … but not earlier than this many seconds before it expires.
_DUE_SECONDS: Final = 300.0


def snapshot(state: State) -> Json:
    """Return the state that the page shows."""
    now = state.runtime.now()
    names = _names(state)
    return {
        "now": now,
        "url": state.url,
        "organizations": _organizations(state, now),
        "codes": [_code(state, each, now, names) for each in _last(state.grants.codes)],
        "tokens": _tokens(state, now, names),
        "counts": dict(Counter(record.family for record in state.records)),
        "objects": [_object(each, names) for each in _last_objects(state)],
        "connections": [
            {
                "id": each.id,
                "status": each.status,
                "source": names.get(each.source_id, each.source_id),
                "destination": names.get(each.destination_id, each.destination_id),
                "updated_at": each.updated_at,
            }
            for each in _last(list(state.sharing.connections.values()))
        ],
        "share_tokens": [
            {
                "id": each.id,
                "status": each.status,
                "source": each.source.id,
                "destination": (each.destination or {}).get("id"),
                "mode": each.redeem_mode,
                "failure": each.failure_reason,
                "updated_at": each.updated_at,
                "expires_at": each.expires_at,
            }
            for each in _last(list(state.sharing.share_tokens.values()))
        ],
        "webhooks": [_webhook(each, names) for each in _last(list(state.webhooks))],
        "requests": [
            summary(each, names)
            for each in islice(reversed(state.exchanges), _MAX_ENTRIES)
        ],
        "faults": [
            {
                "operation": each.operation,
                "effect": each.effect.name.lower(),
                "status": None if each.response is None else each.response.status,
                "times": each.times,
            }
            for each in state.faults.planned
        ],
        "switches": {name: getattr(state.switches, name) for name in _SETTABLE},
    }


def details(exchange: Exchange) -> Json:
    """Return one request with its headers and bodies."""
    return {
        "number": exchange.number,
        "operation": exchange.request.operation,
        "request_id": exchange.request.request_id or None,
        "query": exchange.query(),
        "request_headers": exchange.request_headers(),
        "request_body": exchange.request_body(),
        "status": exchange.status,
        "response_headers": exchange.response_headers(),
        "response_body": exchange.response_body(),
    }


def summary(exchange: Exchange, names: dict[str, str] | None = None) -> Json:
    """Return one request without headers and bodies."""
    request = exchange.request
    caller = request.known_caller
    organization = None if caller is None else caller.organization_id
    return {
        "number": exchange.number,
        "at": exchange.at,
        "seconds": exchange.seconds,
        "method": request.method,
        "path": masked(request.path),
        "operation": request.operation,
        "status": exchange.status,
        "organization": (names or {}).get(organization or "", organization),
        "credential": None if caller is None else caller.kind,
        "object_id": request.object_id,
        "request_id": request.request_id or None,
        "replayed": exchange.response is not None and exchange.response.replayed,
    }


def switch_descriptions() -> list[Json]:
    """Return the name, kind, choices and default of every settable switch."""
    return [_SETTABLE[name] for name in _SETTABLE]


def switch_value(name: str, value: Any) -> Any:
    """Return a value for a switch, converted from text if necessary.

    Raises:
        ValueError: for an unknown switch or a value that it does not take.
    """
    described = _SETTABLE.get(name)
    if described is None:
        message = f"there is no switch {name!r}"
        raise ValueError(message)
    if described["nullable"] and (value is None or value == "none"):
        return None
    converted = _CONVERTERS[described["kind"]](value, described["choices"])
    if converted is None:
        expected = described["choices"] or described["kind"]
        message = f"the switch {name} takes {expected}, not {value!r}"
        raise ValueError(message)
    return converted


def _boolean(value: Any, _choices: list[Any]) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())


def _choice(value: Any, choices: list[Any]) -> Any:
    return next((each for each in choices if str(each) == str(value)), None)


def _text(value: Any, _choices: list[Any]) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: Any, _choices: list[Any]) -> int | None:
    number = _number(value, _choices)
    return int(number) if number is not None and number == number // 1 else None


def _number(value: Any, _choices: list[Any]) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


_CONVERTERS: Final[dict[str, Callable[[Any, list[Any]], Any]]] = {
    "boolean": _boolean,
    "choice": _choice,
    "integer": _integer,
    "number": _number,
    "text": _text,
}


def _described(field: "attrs.Attribute[Any]") -> Json | None:
    """Return the description of a switch, None if its values are not JSON."""
    annotation, nullable = field.type, False
    if get_origin(annotation) in {Union, UnionType}:
        parts = [each for each in get_args(annotation) if each is not type(None)]
        nullable = len(parts) < len(get_args(annotation))
        annotation = parts[0]
    kinds: dict[Any, str] = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "text",
    }
    choices = list(get_args(annotation)) if get_origin(annotation) is Literal else []
    kind = "choice" if choices else kinds.get(annotation)
    if kind is None:
        return None
    return {
        "name": field.name,
        "kind": kind,
        "choices": choices,
        "nullable": nullable,
        "default": field.default,
    }


_SETTABLE: Final[dict[str, Json]] = {
    name: described
    for name, described in (
        (field.name, _described(field))
        for field in attrs.fields(attrs.resolve_types(Switches))
    )
    if described is not None
}


def _names(state: State) -> dict[str, str]:
    words = ("source", "destination")
    found = {}
    for number, organization_id in enumerate(state.organizations):
        other = f"organization {number + 1}"
        found[organization_id] = words[number] if number < len(words) else other
    return found


def _organizations(state: State, now: float) -> list[Json]:
    names = _names(state)
    return [
        {
            "id": each.id,
            "name": names[each.id],
            "environments": [
                _environment(state, one, now) for one in each.environments.values()
            ],
        }
        for each in state.organizations.values()
    ]


def _environment(state: State, environment: Environment, now: float) -> Json:
    window = environment.window
    keys = sum(key.environment is environment for key in state.keys.values())
    used = window.used if window.is_running(now) else 0
    return {
        "id": environment.id,
        "kind": environment.kind,
        "api_keys": keys,
        "limit": window.limit,
        "used": used,
        "resets_in": window.resets_in(now) if used else 0,
    }


def _code(state: State, code: Code, now: float, names: dict[str, str]) -> Json:
    unused = "expired" if now >= code.expires_at else "issued"
    status = "used" if code.used else unused
    return {
        "id": state.runtime.digest(code.value),
        "status": status,
        "scope": code.scope,
        "partner": names.get(code.partner_id, code.partner_id),
        "issued_at": code.issued_at,
        "expires_at": code.expires_at,
    }


def _tokens(state: State, now: float, names: dict[str, str]) -> list[Json]:
    newest: dict[Any, Token] = {}
    for token in state.grants.tokens:
        newest[token.atoms, token.source.id, token.holder.id] = token
    return [
        {
            "id": each.digest,
            "status": _token_status(
                each, now, newest[each.atoms, each.source.id, each.holder.id]
            ),
            "scope": each.scope,
            "holder": names.get(each.holder.organization_id, ""),
            "issued_at": each.issued_at,
            "expires_at": each.expires_at,
        }
        for each in _last(state.grants.tokens)
    ]


def _token_status(token: Token, now: float, newest: Token) -> str:
    if token.revoked:
        return "revoked"
    if now >= token.expires_at:
        return "expired"
    if newest is not token:
        return "replaced"
    lifetime = token.expires_at - token.issued_at
    due = min(lifetime * _DUE_SHARE, _DUE_SECONDS)
    return "due" if token.expires_at - now <= due else "active"


def _last_objects(state: State) -> list[Record]:
    hidden = {"event", "webhook-event", "device"}
    shown = (each for each in state.records if each.family not in hidden)
    return _last(list(shown))


def _last(entries: list[Any]) -> list[Any]:
    """Return the last entries, newest first."""
    return entries[: -_MAX_ENTRIES - 1 : -1]


def _object(record: Record, names: dict[str, str]) -> Json:
    return {
        "id": record.id,
        "type": record.type,
        "owner": names.get(record.owner.organization_id, ""),
        "status": record.attributes.get("status"),
        "created_at": record.attributes.get("created-at"),
    }


def _webhook(webhook: Webhook, names: dict[str, str]) -> Json:
    return {
        "id": webhook.id,
        "url": masked(webhook.url),
        "owner": names.get(webhook.owner.organization_id, ""),
        "status": webhook.status,
        "events": None if webhook.events is None else sorted(webhook.events),
        "attempts": [
            {"event": each.event_id, "at": each.at, "status": each.status}
            for each in islice(reversed(webhook.attempts), 10)
        ],
    }
