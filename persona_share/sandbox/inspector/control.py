"""The control API, with which tests and the inspector control a running sandbox."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from persona_share.sandbox.behavior.faults import Faults
from persona_share.sandbox.inspector.snapshot import (
    details,
    snapshot,
    summary,
    switch_descriptions,
    switch_value,
)
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.records import Json
from persona_share.sandbox.state.state import State


#: The prefix of the control API and of the page.
PREFIX: Final = "/_sandbox"

_RESOURCES: Final = "persona_share.sandbox.inspector"
_BODY_LIMIT: Final = 64 * 1024
#: Real seconds between two checks of the state, and so between two messages at least.
_POLL_INTERVAL: Final = 0.2
_HEARTBEAT: Final = 2.0
_JSON: Final = "application/json"
_OK: Final = 200


class Controls(Protocol):
    """The operations of a sandbox that the control API uses."""

    @property
    def faults(self) -> Faults:
        """Return the faults."""

    def advance(self, seconds: float) -> None:
        """Move the clock."""

    def accept_connection(self, connection_id: str) -> None:
        """Accept a pending connection."""

    def archive_connection(self, connection_id: str) -> None:
        """Archive a connection."""

    def populate(self, inquiries: int) -> list[str]:
        """Add inquiries."""

    def reset(self) -> None:
        """Restore the initial state."""

    def set_switches(self, **values: object) -> None:
        """Set switches."""


class Control:
    """Serves the control API and the page."""

    def __init__(self, state: State, controls: Controls) -> None:
        self._state = state
        self._controls = controls
        self._handlers: dict[str, Callable[[Json], object]] = {
            "GET /state": lambda _body: snapshot(state),
            "GET /log": self._log,
            "GET /switches": lambda _body: self._switches(),
            "PATCH /switches": self._set_switches,
            "GET /operations": lambda _body: sorted(controls.faults.operations),
            "GET /faults": lambda _body: snapshot(state)["faults"],
            "POST /faults": self._add_fault,
            "DELETE /faults": lambda _body: self._controls.faults.clear(),
            "POST /faults/release": lambda _body: self._controls.faults.release(),
            "POST /clock/advance": self._advance,
            "POST /inquiries": self._populate,
            "POST /reset": lambda _body: self._controls.reset(),
        }

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the response to a request below ``/_sandbox``."""
        path = request.path.removeprefix(PREFIX)
        try:
            special = self._special_handler(request.method, path)
            if special is not None:
                return await special(request)
            return await self._json_response(request, path)
        except ApiError as error:
            return web.Response(
                status=error.status, body=error.response().body, content_type=_JSON
            )

    def _special_handler(
        self, method: str, path: str
    ) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None:
        return {
            "GET ": _redirect,
            "GET /": _page,
            "GET /openapi.json": _description,
            "GET /events": self._stream,
        }.get(f"{method} {path}")

    async def _json_response(self, request: web.BaseRequest, path: str) -> web.Response:
        key = f"{request.method} {path}"
        body = await _read(request)
        if request.method == "GET":
            body = dict(request.query)
        parts = path.strip("/").split("/")
        try:
            if key in self._handlers:
                result = self._handlers[key](body)
            elif request.method == "GET" and parts[0] == "requests" and len(parts) == 2:  # noqa: PLR2004 - two segments
                result = self._request(parts[1])
            elif request.method == "POST" and parts[0] == "connections":
                self._connection(parts[1:])
                result = None
            else:
                raise ApiError(404)
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError(400, str(error).strip("'\"")) from None
        if result is None:
            return web.Response(status=204)
        return web.Response(body=orjson.dumps(result), content_type=_JSON)

    # ── Handlers ────────────────────────────────────────────────────────────────

    def _log(self, query: Json) -> object:
        wanted = query.get("operation")
        found = [summary(each) for each in self._state.exchanges]
        return [each for each in found if wanted in {None, each["operation"]}]

    def _request(self, number: str) -> object:
        for exchange in self._state.exchanges:
            if str(exchange.number) == number:
                return details(exchange)
        raise ApiError(404)

    def _switches(self) -> object:
        switches = self._state.switches
        return [
            {**each, "value": getattr(switches, each["name"])}
            for each in switch_descriptions()
        ]

    def _set_switches(self, body: Json) -> object:
        values = {name: switch_value(name, value) for name, value in body.items()}
        self._controls.set_switches(**values)
        return values

    def _advance(self, body: Json) -> object:
        seconds: Any = body.get("seconds")
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds <= _MAX_SECONDS:
            raise ApiError(400, "seconds must be a number between 0 and ten years")
        self._controls.advance(seconds)
        return {"now": self._state.runtime.now()}

    def _populate(self, body: Json) -> object:
        number = body.get("number", 1)
        if not isinstance(number, int) or not 1 <= number <= _MAX_INQUIRIES:
            message = f"number must be between 1 and {_MAX_INQUIRIES}"
            raise ValueError(message)
        return {"inquiries": self._controls.populate(number)}

    def _connection(self, parts: list[str]) -> None:
        actions = {
            "accept": self._controls.accept_connection,
            "archive": self._controls.archive_connection,
        }
        if len(parts) != 2 or parts[1] not in actions:  # noqa: PLR2004 - two segments
            raise ApiError(404)
        try:
            actions[parts[1]](parts[0])
        except ValueError as error:
            raise ApiError(404, str(error)) from None

    def _add_fault(self, body: Json) -> object:
        plan_fault(self._controls.faults, **body)
        return snapshot(self._state)["faults"]

    # ── The event stream ────────────────────────────────────────────────────────

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        last, quiet = b"", _HEARTBEAT
        try:
            while True:
                found = snapshot(self._state)
                data = orjson.dumps({**found, "now": None})
                if data != last or quiet >= _HEARTBEAT:
                    await response.write(b"data: " + orjson.dumps(found) + b"\n\n")
                    last, quiet = data, 0.0
                await self._state.runtime.sleep(_POLL_INTERVAL)
                quiet += _POLL_INTERVAL
        except (ConnectionError, asyncio.CancelledError):
            return response


_MAX_SECONDS: Final = 10 * 365 * 86_400
_MAX_INQUIRIES: Final = 1000


def plan_fault(
    faults: Faults,
    *,
    operation: str,
    kind: str,
    times: int | None = 1,
    status: int = 503,
    seconds: float = 1.0,
    reason: str = "import_failed",
) -> None:
    """Plan a fault by the name of its method in `Faults`.

    Raises:
        ValueError: for an unknown kind or operation, or a wrong value.
    """
    if times is not None and times < 1:
        message = "times must be a positive integer, or null for always"
        raise ValueError(message)
    match kind:
        case "answer":
            faults.answer(operation, int(status), times=times)
        case "lose_answer" | "cut" | "hang" | "truncate" | "real_payload":
            getattr(faults, kind)(operation, times)
        case "delay":
            faults.delay(operation, float(seconds), times)
        case "fail_redemption":
            faults.fail_redemption(reason, times)
        case _:
            message = f"{kind!r} is not a kind of fault"
            raise ValueError(message)


async def _read(request: web.BaseRequest) -> Json:
    """Return the JSON object of a body; other content types are refused.

    A browser sends JSON to another origin only if that origin allows it, so web pages
    cannot control the sandbox.
    """
    if request.method == "GET":
        return {}
    if not request.can_read_body:
        _check_origin(request)
        return {}
    if (request.content_length or 0) > _BODY_LIMIT:
        raise ApiError(413, "the body is too large")
    if request.content_type != _JSON:
        raise ApiError(415, "the body must be application/json")
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise ApiError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be an object")
    return body


def _check_origin(request: web.BaseRequest) -> None:
    if "Origin" not in request.headers:
        return
    if request.headers["Origin"].partition("://")[2] != request.headers.get("Host"):
        raise ApiError(403, "another origin may not control the sandbox")


async def _redirect(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=308, headers={"Location": f"{PREFIX}/"})


async def _page(_request: web.BaseRequest) -> web.StreamResponse:
    page = (files(_RESOURCES) / "page.html").read_text("utf-8")
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors 'none'; "
        f"style-src {_hash(page, 'style')}; script-src {_hash(page, 'script')}"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return web.Response(text=page, content_type="text/html", headers=headers)


def _hash(page: str, tag: str) -> str:
    """Return the CSP source expression of the inline element of a tag."""
    content = page.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    digest = b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


async def _description(_request: web.BaseRequest) -> web.StreamResponse:
    description = (files(_RESOURCES) / "openapi.json").read_bytes()
    return web.Response(body=description, content_type=_JSON)
