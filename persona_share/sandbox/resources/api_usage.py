"""Rate limits, API logs and API keys."""

from typing import Any, Final

from persona_share.sandbox.jsonapi.body import (
    INTEGER,
    STRING,
    STRINGS,
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
    check_include,
    check_query,
    equals,
    paged_response,
    requested_filters,
)
from persona_share.sandbox.jsonapi.rendering import (
    checked_inflection,
    checked_version,
    json_response,
    render_one,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.organizations import PERMISSIONS, WINDOW, ApiKey
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Exchange, Request
from persona_share.sandbox.state.state import State


def list_rate_limits(state: State, request: Request) -> Response:
    """Return the remaining requests of the caller's rate limits."""
    check_query(state, request, ())
    caller, now = request.caller, state.runtime.now()
    windows = [caller.rate_limited.window]
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
    return json_response({"data": data}, request)


# ── API logs ────────────────────────────────────────────────────────────────────

_LOGGED_REQUEST_HEADERS: Final = ("Accept", "Host", "Persona-Version", "User-Agent")
_LOGGED_RESPONSE_HEADERS: Final = ("Content-Type", "Request-Id")
_COUNTED_RESPONSE_HEADERS: Final = tuple(
    f"{kind}-{what}"
    for kind in ("RateLimit", "Quota")
    for what in ("Limit", "Remaining", "Reset")
)


def list_api_logs(state: State, request: Request) -> Response:
    """List the last requests to the environment, newest first."""
    check_query(state, request, MANY - {"filter"})
    _require(state, request, "api-log", "read")
    return paged_response(state, request, _api_logs(state, request), ())


def retrieve_api_log(state: State, request: Request) -> Response:
    """Return one request to the environment."""
    check_query(state, request, ONE)
    check_include(request, "api-log")
    _require(state, request, "api-log", "read")
    for record in _api_logs(state, request):
        if record.id == request.object_id:
            return render_one(state, record, request)
    raise ApiError(404)


def _api_logs(state: State, request: Request) -> list[Record]:
    environment = request.caller.environment
    return [
        _api_log(each)
        for each in reversed(state.exchanges)
        if each.request.request_id
        and not (each.response is not None and each.response.replayed)
        and each.request.caller.reported is environment
    ]


def _api_log(exchange: Exchange) -> Record:
    request, caller = exchange.request, exchange.request.caller
    request_headers, all_response_headers = (
        exchange.request_headers(),
        exchange.response_headers(),
    )
    body = exchange.request_body()
    headers: Json = {
        k: request_headers[k] for k in _LOGGED_REQUEST_HEADERS if k in request_headers
    }
    if "Authorization" in request_headers:
        headers["Authorization"] = request_headers["Authorization"]
    response_headers: dict[str, Any] = {
        k: all_response_headers[k]
        for k in _LOGGED_RESPONSE_HEADERS
        if k in all_response_headers
    }
    for name in _COUNTED_RESPONSE_HEADERS:
        if name in all_response_headers:
            response_headers[name] = int(float(all_response_headers[name]))
    attributes = {
        "request": {
            "method": request.method,
            "path": f"/api/v1{request.path}",
            "headers": headers,
            "get-params": exchange.query(),
            "post-params": body if isinstance(body, dict) else {},
            "ip-address": "127.0.0.1",
        },
        "response": {"status": exchange.status or 0, "headers": response_headers},
        "created-at": timestamp(exchange.at),
        "redacted-at": None,
    }
    key = None if caller.key is None else {"type": "api-key", "id": caller.key.id}
    related = {"api-key": {"data": key}}
    return Record(request.request_id, "api-log", attributes, related, caller.reported)


# ── API keys ────────────────────────────────────────────────────────────────────

_KEY_ATTRIBUTES: Final[dict[str, Shape]] = {
    "name": STRING,
    "note": STRING,
    "api-version": STRING,
    "api-key-inflection": STRING,
    "api-attributes-blocklist": STRINGS,
    "ip-address-allowlist": STRINGS,
    "permissions": STRINGS,
    "file-access-token-expires-in": INTEGER,
}
CREATE_KEY: Final[Shape] = {
    "data*": {
        "attributes*": {
            "name*" if name == "name" else name: shape
            for name, shape in _KEY_ATTRIBUTES.items()
        }
    }
}
UPDATE_KEY: Final[Shape] = {"data*": {"attributes*": _KEY_ATTRIBUTES}}
EXPIRE_KEY: Final[Shape] = {"meta*": {"expires-in-seconds*": INTEGER}}
KEY_FILTERS: Final[Filters] = {"name": equals("name")}
_SETTINGS: Final[Json] = {
    "name": "",
    "note": None,
    "api-attributes-blocklist": [],
    "ip-address-allowlist": ["*"],
    "file-access-token-expires-in": 21_600,
}


def list_api_keys(state: State, request: Request) -> Response:
    """List the API keys of the environment, newest first."""
    check_query(state, request, MANY, KEY_FILTERS)
    _require(state, request, "api-key", "read")
    tests = requested_filters(request, KEY_FILTERS)
    environment = [
        k for k in state.keys.values() if k.environment is _environment(request)
    ]
    return paged_response(
        state, request, map(_key_record, reversed(environment)), tests
    )


def create_api_key(state: State, request: Request) -> Response:
    """Create an API key and return its value, once."""
    _check_one(state, request, "write")
    given = attributes_of(read_body(request, CREATE_KEY, state.switches))
    _check_key(given)
    key = state.add_api_key(_environment(request), version=request.version)
    _update_key(key, given)
    return render_one(state, _key_record(key, value=True), request, status=201)


def retrieve_api_key(state: State, request: Request) -> Response:
    """Return an API key without its value."""
    _check_one(state, request, "read")
    return render_one(state, _key_record(_requested_key(state, request)), request)


def update_api_key(state: State, request: Request) -> Response:
    """Change an API key."""
    _check_one(state, request, "write")
    key = _requested_key(state, request)
    given = attributes_of(read_body(request, UPDATE_KEY, state.switches))
    _check_key(given)
    _update_key(key, given)
    return render_one(state, _key_record(key), request)


def expire_api_key(state: State, request: Request) -> Response:
    """Expire an API key after some seconds."""
    _check_one(state, request, "write")
    key = _requested_key(state, request)
    meta = meta_of(read_body(request, EXPIRE_KEY, state.switches))
    seconds = meta["expires-in-seconds"]
    if not 0 <= seconds <= _MAX_SECONDS:
        raise ApiError(400, "meta.expires_in_seconds is out of range")
    key.expires_at = state.runtime.now() + seconds
    return render_one(state, _key_record(key), request)


def clone_api_key(state: State, request: Request) -> Response:
    """Copy an API key, without its value."""
    _check_one(state, request, "write")
    key = _requested_key(state, request)
    read_body(request, NOTHING, state.switches)
    copy = state.add_api_key(
        key.environment,
        permissions=None if key.permissions is None else sorted(key.permissions),
        rate_limit=key.own_limit,
        inflection=key.inflection,
        version=key.version,
    )
    copy.settings = dict(key.settings)
    return render_one(state, _key_record(copy, value=True), request)


_MAX_SECONDS: Final = 10 * 365 * 86_400


def _environment(request: Request) -> Any:
    return request.caller.environment


def _check_one(state: State, request: Request, verb: str) -> None:
    check_query(state, request, ONE)
    check_include(request, "api-key")
    _require(state, request, "api-key", verb)


def _require(state: State, request: Request, family: str, verb: str) -> None:
    caller = request.caller
    permission = f"{family.replace('-', '_')}.{verb}"
    if caller.token is not None or not caller.may(permission, ""):
        raise state.records.permission_error(family, caller)


def _requested_key(state: State, request: Request) -> ApiKey:
    for key in state.keys.values():
        if key.id == request.object_id and key.environment is _environment(request):
            return key
    if request.operation == "GET /api-keys/{api-key-id}":
        # In the description, only this operation has no 404.
        raise ApiError(403, "the API key is not found")
    raise ApiError(404)


def _check_key(given: Json) -> None:
    checked_inflection(given.get("api-key-inflection", "kebab"))
    if "api-version" in given:
        checked_version(given["api-version"])


def _update_key(key: ApiKey, given: Json) -> None:
    if "permissions" in given:
        key.permissions = frozenset(given["permissions"])
    key.version = given.get("api-version", key.version)
    key.inflection = given.get("api-key-inflection", key.inflection)
    key.settings |= {k: given[k] for k in _SETTINGS if k in given}


def _key_record(key: ApiKey, *, value: bool = False) -> Record:
    permissions = PERMISSIONS if key.permissions is None else key.permissions
    attributes: Json = {
        **{k: key.settings.get(k, default) for k, default in _SETTINGS.items()},
        "api-version": key.version,
        "api-key-inflection": key.inflection,
        "permissions": sorted(permissions),
        "last-used-at": _time(key.last_used_at),
        "expires-at": _time(key.expires_at),
        "created-at": timestamp(key.created_at),
    }
    if value:
        attributes["value"] = key.value
    return Record(key.id, "api-key", attributes, {}, key.environment)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


_API_KEY: Final = "/api-keys/{api-key-id}"
ROUTES: Final[Routes] = {
    "GET /rate-limits": Operation("list-all-rate-limits", list_rate_limits),
    "GET /api-logs": Operation("list-all-api-logs", list_api_logs),
    "GET /api-logs/{api-log-id}": Operation("retrieve-an-api-log", retrieve_api_log),
    "GET /api-keys": Operation("list-all-api-keys", list_api_keys),
    "POST /api-keys": Operation("create-an-api-key", create_api_key),
    f"GET {_API_KEY}": Operation("retrieve-an-api-key", retrieve_api_key),
    f"PATCH {_API_KEY}": Operation("update-an-api-key", update_api_key),
    f"POST {_API_KEY}/expire": Operation("expire-an-api-key", expire_api_key),
    f"POST {_API_KEY}/clone": Operation("clone-api-key", clone_api_key),
}
