"""The HTTP server of the API.

aiohttp is the whole of the HTTP here. Its access log stays off (it prints query
strings) and its error log is silenced (it prints bytes of bad requests).
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from persona_share.sandbox.hosts import Access
from persona_share.sandbox.http.listener import Listener
from persona_share.sandbox.http.pipeline import (
    SANDBOX_HEADERS,
    ConnectionCut,
    EncodedResponse,
    Pipeline,
)
from persona_share.sandbox.http.routes import Match, Router
from persona_share.sandbox.inspector.control import PREFIX as CONTROL, Control
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import PREFIX, State


#: The largest size of a body in bytes.
BODY_CAP: Final = 1024 * 1024


class Server:
    """The HTTP server in front of the pipeline."""

    def __init__(
        self, state: State, routes: Router, control: Control, access: Access
    ) -> None:
        self._state = state
        self._pipeline = Pipeline(state)
        self._routes = routes
        self._control = control
        self._access = access
        self._listener = Listener(self._answered, state.log.crashes)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address and the port.

        Raises:
            ConfigurationError: where the address or the port cannot be had.
        """
        return await self._listener.start(host, port)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        self._listener.close()
        self._state.faults.release()
        await self._listener.stop()

    async def _answered(self, http_request: web.BaseRequest) -> web.StreamResponse:
        try:
            if not self._access.allows(http_request.headers.get("Host")):
                raise ApiError(421, "this Host is not served here")  # noqa: TRY301 - the same way out
            if http_request.path == CONTROL or http_request.path.startswith(
                f"{CONTROL}/"
            ):
                return await self._control.respond(http_request)
            request, match = await self._read(http_request)
        except ApiError as error:
            return refused(error)
        try:
            handler = None if match is None else match.handler
            encoded = await self._pipeline.respond(request, handler)
        except ConnectionCut:
            return cut_connection(http_request)
        return await write(http_request, encoded)

    async def _read(
        self, http_request: web.BaseRequest
    ) -> tuple[Request, Match | None]:
        path, _, query = http_request.raw_path.partition("?")
        inside = path.startswith(f"{PREFIX}/")
        path = path[len(PREFIX) :] if inside else path
        match = self._routes.match(http_request.method, path) if inside else None
        request = Request(
            method=http_request.method,
            path=path,
            operation=match.operation if match else f"{http_request.method} (unknown)",
            params=match.params if match else {},
            query=tuple(parse_qsl(query, keep_blank_values=True)) if query else (),
            headers=http_request.headers,
            body=await _body(http_request),
            arrived_at=self._state.runtime.now(),
        )
        return request, match


async def _body(http_request: web.BaseRequest) -> bytes:
    if not http_request.can_read_body:
        return b""
    if (http_request.content_length or 0) > BODY_CAP:
        raise ApiError(413, f"the body has more than {BODY_CAP} bytes")
    try:
        return await http_request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, f"the body has more than {BODY_CAP} bytes") from None


def refused(error: ApiError) -> web.Response:
    """Return an error for what does not reach the pipeline, and close the connection."""
    response = web.Response(
        status=error.status,
        body=error.response().body,
        content_type="application/json",
        headers=SANDBOX_HEADERS,
    )
    response.force_close()
    return response


def cut_connection(http_request: web.BaseRequest) -> web.Response:
    """Close the connection without a response."""
    if http_request.transport is not None:
        http_request.transport.abort()
    return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)


async def write(
    http_request: web.BaseRequest, encoded: EncodedResponse
) -> web.StreamResponse:
    """Write a response, or half of it."""
    if not encoded.truncated:
        return web.Response(
            status=encoded.status, body=encoded.body, headers=encoded.headers
        )
    response = web.StreamResponse(status=encoded.status, headers=encoded.headers)
    response.content_length = len(encoded.body)
    await response.prepare(http_request)
    await response.write(encoded.body[: len(encoded.body) // 2])
    if http_request.transport is not None:
        http_request.transport.close()
    return response
