"""The API's socket: requests in, answers out.

aiohttp is the whole of the HTTP here. Its access log stays off (it prints query
strings) and its error log is silenced (it prints bytes of bad requests).
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from persona_share.sandbox.calls import Call
from persona_share.sandbox.hosts import allowed
from persona_share.sandbox.listening import Listener
from persona_share.sandbox.outgoing import BANNER
from persona_share.sandbox.pipeline import Cut, Pipeline, Sent
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.routes import Match, Routes
from persona_share.sandbox.state import PREFIX, State


#: The most bytes of a body.
BODY_CAP: Final = 1024 * 1024


class Server:
    """The API's socket, in front of a pipeline."""

    def __init__(self, state: State, pipeline: Pipeline, routes: Routes) -> None:
        self._state = state
        self._pipeline = pipeline
        self._routes = routes
        self._anywhere = False
        self._listener = Listener(self._answered, state.log.crashes)

    async def start(self, host: str, port: int, *, anywhere: bool) -> tuple[str, int]:
        """Listen, and answer the address and the port.

        Raises:
            ConfigurationError: where the address or the port cannot be had.
        """
        self._anywhere = anywhere
        return await self._listener.start(host, port)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        self._listener.close()
        self._state.faults.release()
        await self._listener.stop()

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if not allowed(request.headers.get("Host"), anywhere=self._anywhere):
                raise Problem(421, "this Host is not served here")  # noqa: TRY301 - the same way out
            call, match = await self._read(request)
        except Problem as problem:
            return refused(problem)
        try:
            handler = None if match is None else match.handler
            sent = await self._pipeline.answer(call, handler)
        except Cut:
            return cut(request)
        return await write(request, sent)

    async def _read(self, request: web.BaseRequest) -> tuple[Call, Match | None]:
        path, _, query = request.raw_path.partition("?")
        inside = path.startswith(f"{PREFIX}/")
        path = path[len(PREFIX) :] if inside else path
        match = self._routes.match(request.method, path) if inside else None
        call = Call(
            method=request.method,
            path=path,
            operation=match.operation if match else f"{request.method} (unknown)",
            params=match.params if match else {},
            query=tuple(parse_qsl(query, keep_blank_values=True)) if query else (),
            headers=request.headers,
            body=await _body(request),
            arrived_at=self._state.world.now(),
        )
        return call, match


async def _body(request: web.BaseRequest) -> bytes:
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > BODY_CAP:
        raise Problem(413, f"the body has more than {BODY_CAP} bytes")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem(413, f"the body has more than {BODY_CAP} bytes") from None


def refused(problem: Problem) -> web.Response:
    """Answer what never gets to the layers, and end the connection."""
    response = web.Response(
        status=problem.status,
        body=problem.body(),
        content_type="application/json",
        headers=BANNER,
    )
    response.force_close()
    return response


def cut(request: web.BaseRequest) -> web.Response:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)


async def write(request: web.BaseRequest, sent: Sent) -> web.StreamResponse:
    """Write what is to be sent, or the half of it."""
    if not sent.truncated:
        return web.Response(status=sent.status, body=sent.body, headers=sent.headers)
    response = web.StreamResponse(status=sent.status, headers=sent.headers)
    response.content_length = len(sent.body)
    await response.prepare(request)
    await response.write(sent.body[: len(sent.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
