"""Webhooks, webhook events and events."""

from typing import Any, Final

from persona_share.sandbox.jsonapi.body import (
    INTEGER,
    OBJECT,
    OBJECT_OR_NULL,
    STRING,
    STRING_OR_NULL,
    STRINGS,
    Nullable,
    Primitive,
    Shape,
    read_body,
)
from persona_share.sandbox.jsonapi.objects import timestamp
from persona_share.sandbox.jsonapi.operations import (
    NOTHING,
    Operation,
    Routes,
    attributes_of,
    meta_of,
)
from persona_share.sandbox.jsonapi.read import (
    MANY,
    ONE,
    Filters,
    Handler,
    check_include,
    check_query,
    has_id,
    is_one_of,
    list_handler,
    of_attribute,
    paged_response,
    retrieve_handler,
    search_handler,
)
from persona_share.sandbox.jsonapi.rendering import (
    checked_inflection,
    checked_version,
    render_one,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State
from persona_share.sandbox.state.webhooks import ALL_EVENTS, Webhook


def _is_about(record: Record, value: str) -> bool:
    payload = record.attributes["payload"]
    data = payload.get("data") if isinstance(payload, dict) else None
    return isinstance(data, dict) and data.get("id") in value.split(",")


EVENT_FILTERS: Final[Filters] = {
    "id": has_id,
    "name": is_one_of("name"),
    "object-id": _is_about,
}


def _one_of(*words: str) -> Primitive:
    return Primitive(" or ".join(words), (str,), fits=words.__contains__)


_ATTRIBUTES: Final[dict[str, Shape]] = {
    "name": STRING_OR_NULL,
    "description": STRING_OR_NULL,
    "url": STRING,
    "enabled-events": STRINGS,
    "api-version": STRING,
    "api-key-inflection": STRING,
    "api-attributes-blocklist": STRINGS,
    "file-access-token-expires-in": INTEGER,
    "payload-filter": OBJECT_OR_NULL,
    "included-allowlist": Nullable(
        {
            "state*": _one_of("include_all", "include_none", "custom"),
            "event-types": [OBJECT],
        }
    ),
    "relationship-allowlist": {"state*": _one_of("include_all", "include_none")},
    "custom-http-headers": OBJECT_OR_NULL,
}
_REQUIRED: Final = frozenset({"url", "enabled-events"})
CREATE: Final[Shape] = {
    "data*": {
        "attributes*": {
            f"{name}*" if name in _REQUIRED else name: shape
            for name, shape in _ATTRIBUTES.items()
        }
    }
}
UPDATE: Final[Shape] = {"data": {"attributes": _ATTRIBUTES}}
ROTATE: Final[Shape] = {"meta": {"expires-in-seconds": INTEGER}}
#: The first version under which a webhook must have a name.
NAMED_SINCE: Final = "2026-09-29"
#: Attributes that change the behavior of the sandbox; others are only stored.
_BEHAVIORAL: Final = frozenset(
    {"name", "url", "enabled-events", "api-version", "api-key-inflection"}
)
_DEFAULTS: Final[Json] = {
    "api-attributes-blocklist": [],
    "file-access-token-expires-in": 21_600,
    "payload-filter": None,
    "included-allowlist": {"state": "include_none"},
    "relationship-allowlist": {"state": "include_all"},
}


def list_webhooks(state: State, request: Request) -> Response:
    """List the webhooks of the environment, newest first."""
    check_query(state, request, MANY - {"filter"})
    _require(state, request, "read")
    owner = request.caller.environment
    webhooks = [each for each in state.webhooks if each.owner is owner]
    views = [_record(each) for each in reversed(webhooks)]
    return paged_response(state, request, views, ())


def create(state: State, request: Request) -> Response:
    """Create a webhook, which is disabled at first."""
    _check(state, request)
    _require(state, request, "write")
    given = attributes_of(read_body(request, CREATE, state.switches))
    if request.version >= NAMED_SINCE and given.get("name") is None:
        raise _name_missing()
    _check_values(given)
    webhook = state.webhooks.add(
        given["url"],
        request.caller.environment,
        None,
        given.get("api-key-inflection", "kebab"),
        given.get("api-version", request.version),
    )
    webhook.status = "disabled"
    _update(webhook, given)
    return _render(state, request, webhook, secret=True, status=201)


def retrieve(state: State, request: Request) -> Response:
    """Return a webhook with its secrets."""
    _check(state, request)
    webhook = _requested(state, request, "read")
    return _render(state, request, webhook, secret=True)


def update(state: State, request: Request) -> Response:
    """Change a webhook."""
    _check(state, request)
    webhook = _requested(state, request, "write")
    given = attributes_of(read_body(request, UPDATE, state.switches))
    if request.version >= NAMED_SINCE and given.get("name", "") is None:
        raise _name_missing()
    _check_values(given)
    _update(webhook, given)
    return _render(state, request, webhook)


def rotate_secret(state: State, request: Request) -> Response:
    """Create a new secret; the old one expires after the requested seconds."""
    _check(state, request)
    webhook = _requested(state, request, "write")
    meta = meta_of(read_body(request, ROTATE, state.switches))
    seconds = meta.get("expires-in-seconds", 0)
    if seconds < 0:
        raise ApiError(400, "meta.expires_in_seconds must not be negative")
    state.webhooks.rotate(webhook.id, seconds)
    return _render(state, request, webhook, secret=True)


def clone(state: State, request: Request) -> Response:
    """Copy a webhook, without its secret."""
    _check(state, request)
    webhook = _requested(state, request, "write")
    read_body(request, NOTHING, state.switches)
    copy = state.webhooks.add(
        webhook.url, webhook.owner, None, webhook.inflection, webhook.version
    )
    copy.events, copy.name = webhook.events, webhook.name
    copy.settings = dict(webhook.settings)
    copy.status = "disabled"
    return _render(state, request, copy, secret=True)


def _status_handler(status: str) -> Handler:
    """Return the handler that sets the status of a webhook."""

    def change(state: State, request: Request) -> Response:
        _check(state, request)
        webhook = _requested(state, request, "write")
        read_body(request, NOTHING, state.switches)
        if webhook.status in {status, "archived"}:
            conflict = state.switches.state_conflict_status
            raise ApiError(conflict, f"the webhook is {webhook.status} already")
        if status == "enabled":
            webhook.status = "enabled"
        else:
            state.webhooks.disable(webhook.id)
            webhook.status = "archived" if status == "archived" else "disabled"
        return _render(state, request, webhook)

    return change


def _check(state: State, request: Request) -> None:
    check_query(state, request, ONE)
    check_include(request, "webhook")


def _require(state: State, request: Request, verb: str) -> None:
    caller = request.caller
    if caller.token is not None or not caller.may(f"webhook.{verb}", ""):
        error = state.records.permission_error("webhook", caller)
        raise error


def _requested(state: State, request: Request, verb: str) -> Webhook:
    _require(state, request, verb)
    owner = request.caller.environment
    webhook = state.webhooks.get(request.object_id or "", owner)
    if webhook is None:
        raise ApiError(404)
    return webhook


def _name_missing() -> ApiError:
    details = "data.attributes.name is missing"
    return ApiError(400, details, pointer="/data/attributes/name")


def _check_values(given: Json) -> None:
    if not str(given.get("url", "https://")).startswith(("http://", "https://")):
        raise ApiError(400, "data.attributes.url must be a URL")
    included = given.get("included-allowlist") or {"state": "include_none"}
    if (included["state"] == "custom") != bool(included.get("event-types")):
        details = "data.attributes.included_allowlist: event_types belong to custom"
        raise ApiError(400, details, pointer="/data/attributes/included-allowlist")
    checked_inflection(given.get("api-key-inflection", "kebab"))
    checked_version(given.get("api-version", NAMED_SINCE))


def _update(webhook: Webhook, given: Json) -> None:
    webhook.name = given.get("name", webhook.name)
    webhook.url = given.get("url", webhook.url)
    if "enabled-events" in given:
        webhook.events = frozenset(given["enabled-events"])
    webhook.version = given.get("api-version", webhook.version)
    webhook.inflection = given.get("api-key-inflection", webhook.inflection)
    others = {name: each for name, each in given.items() if name not in _BEHAVIORAL}
    webhook.settings |= others


def _render(
    state: State,
    request: Request,
    webhook: Webhook,
    *,
    secret: bool = False,
    status: int = 200,
) -> Response:
    return render_one(state, _record(webhook, secret=secret), request, status=status)


def _record(webhook: Webhook, *, secret: bool = False) -> Record:
    events = [ALL_EVENTS] if webhook.events is None else sorted(webhook.events)
    attributes: dict[str, Any] = {
        "status": webhook.status,
        "url": webhook.url,
        "name": webhook.name,
        "api-version": webhook.version,
        "api-key-inflection": webhook.inflection,
        "enabled-events": events,
        "created-at": timestamp(webhook.created_at),
        **{name: webhook.settings.get(name, each) for name, each in _DEFAULTS.items()},
    }
    if secret:
        attributes["secret"] = webhook.secret
        attributes["secrets"] = [
            {
                "value": each.value,
                "expires-at": None
                if each.expires_at is None
                else timestamp(each.expires_at),
            }
            for each in reversed(webhook.secrets)
        ]
    return Record(webhook.id, "webhook", attributes, {}, webhook.owner)


_WEBHOOK: Final = "/webhooks/{webhook-id}"
_SEARCHED: Final = {
    "updated_at": of_attribute("updated-at"),
    "status": of_attribute("status"),
    "webhook_id": of_attribute("webhook-id"),
    "event_id": of_attribute("event-id"),
    "event_name": of_attribute("event-name"),
    "webhook_event_id": lambda record: record.id,
    "related_object_ids": lambda record: record.internal["related"],
}
ROUTES: Final[Routes] = {
    "GET /webhooks": Operation("list-all-webhooks", list_webhooks),
    "POST /webhooks": Operation("create-a-webhook", create),
    f"GET {_WEBHOOK}": Operation("retrieve-a-webhook", retrieve),
    f"PATCH {_WEBHOOK}": Operation("update-a-webhook", update),
    f"POST {_WEBHOOK}/archive": Operation(
        "archive-a-webhook", _status_handler("archived")
    ),
    f"POST {_WEBHOOK}/enable": Operation(
        "enable-a-webhook", _status_handler("enabled")
    ),
    f"POST {_WEBHOOK}/disable": Operation(
        "disable-a-webhook", _status_handler("disabled")
    ),
    f"POST {_WEBHOOK}/rotate-secret": Operation(
        "rotate-a-webhook-secret", rotate_secret
    ),
    f"POST {_WEBHOOK}/clone": Operation("clone-a-webhook", clone),
    "POST /webhook-events/search": Operation(
        "search-webhook-events",
        search_handler("webhook-event", _SEARCHED, ranged={"updated_at"}),
    ),
    "GET /events": Operation("list-all-events", list_handler("event", EVENT_FILTERS)),
    "GET /events/{event-id}": Operation("retrieve-an-event", retrieve_handler("event")),
}
