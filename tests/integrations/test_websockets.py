"""WebSocket routes and mounted applications get the same sessions and error responses."""

from typing import Annotated

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fastapi import Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from persona_share import ScopedSession
from persona_share.errors import (
    NotFoundError,
    PersonaError,
    ServerError,
)
from persona_share.integrations.aiohttp import session_of, setup
from persona_share.integrations.starlette import Persona
from tests.integrations.conftest import CANARY
from tests.integrations.test_starlette import started


pytestmark = pytest.mark.asyncio


async def failing() -> None:
    raise NotFoundError(CANARY)


async def fail_request(_request):
    await failing()


# ── FastAPI ─────────────────────────────────────────────────────────────────────


def an_app(harness):
    persona, app = Persona(harness.opening), FastAPI()
    persona.install(app)
    session = persona.session("inquiry.read:{inquiry_id}")

    @app.websocket("/inquiries/{inquiry_id}")
    async def read(
        socket: WebSocket,
        inquiry_id: str,
        session: Annotated[ScopedSession, Depends(session)],
    ) -> None:
        await socket.accept()
        while True:
            await socket.receive_text()
            inquiry = await session.inquiries.retrieve(inquiry_id)
            await socket.send_json({"id": inquiry.id})

    return app


class Socket:
    """A WebSocket client of an ASGI application in this process."""

    def __init__(self, app, path, *, extensions=()):
        self.sent, self.incoming = [], [{"type": "websocket.connect"}]
        self.app = app
        self.scope = {
            "type": "websocket",
            "path": path,
            "headers": [],
            "query_string": b"",
            "extensions": {each: {} for each in extensions},
        }

    async def run(self, *texts):
        """Send texts, and return the kinds of messages that came back."""
        self.incoming += [{"type": "websocket.receive", "text": each} for each in texts]
        self.incoming.append({"type": "websocket.disconnect", "code": 1000})

        async def receive():
            return self.incoming.pop(0)

        async def send(message):
            self.sent.append(message)

        await self.app(self.scope, receive, send)
        return [each["type"].removeprefix("websocket.") for each in self.sent]


async def test_websocket_route_gets_a_session(harness):
    app, inquiry = an_app(harness), harness.sandbox.add_inquiry()
    async with started(app):
        socket = Socket(app, f"/inquiries/{inquiry.id}")
        with pytest.raises(Exception, match="1000"):  # the disconnect
            await socket.run("read")
    assert [each["type"] for each in socket.sent] == [
        "websocket.accept",
        "websocket.send",
    ]
    assert inquiry.id in socket.sent[1]["text"]


async def test_error_after_the_handshake_closes_the_socket_with_its_code(harness):
    app = an_app(harness)
    async with started(app):
        socket = Socket(app, "/inquiries/inq_unknown")
        assert await socket.run("read") == ["accept", "close"]
    close = socket.sent[1]
    assert (close["code"], close["reason"]) == (1013, "not_available")


async def test_error_before_the_handshake_refuses_it(harness):
    app = an_app(harness)
    async with started(app):
        assert await Socket(app, "/inquiries/a.b").run() == ["close"]
        socket = Socket(app, "/inquiries/a.b", extensions=["websocket.http.response"])
        await socket.run()
    assert socket.sent[0]["status"] == 404
    assert b"not_found" in socket.sent[1]["body"]


async def test_mounted_applications_respond_to_errors_in_the_same_form(harness):
    app, below, deepest = FastAPI(), FastAPI(), Starlette()
    Persona(harness.opening).install(app)
    deepest.add_route("/thing", fail_request)
    for each in (app, below):
        each.get("/thing")(failing)
    app.mount("/below", below)
    app.routes.append(Mount("/group", routes=[Mount("/deep", deepest)]))
    async with started(app) as client:
        responses = [
            await client.get(path)
            for path in ("/thing", "/below/thing", "/group/deep/thing")
        ]
    assert {each.status_code for each in responses} == {404}
    assert len({each.text for each in responses}) == 1
    assert CANARY not in responses[0].text


async def test_mounted_application_keeps_a_handler_of_its_own(harness):
    app, below = FastAPI(), FastAPI()
    Persona(harness.opening).install(app)
    below.get("/thing")(failing)

    @below.exception_handler(PersonaError)
    async def own(_request, _error):
        return PlainTextResponse("own", 418)

    app.mount("/below", below)
    async with started(app) as client:
        response = await client.get("/below/thing")
    assert (response.status_code, response.text) == (418, "own")


# ── aiohttp.web ─────────────────────────────────────────────────────────────────


async def read(request):
    session = session_of(request, "inquiry.read:{inquiry_id}")
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        inquiry = await session.inquiries.retrieve(request.match_info["inquiry_id"])
        await socket.send_json({"id": inquiry.id})
    return socket


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    raise ServerError(CANARY, status=500)


async def test_sockets_of_aiohttp_end_with_the_code_of_the_error(harness):
    app, below = web.Application(), web.Application()
    setup(app, harness.opening)
    below.router.add_get("/inquiries/{inquiry_id}", read)
    below.router.add_get("/stream", stream)
    app.add_subapp("/below", below)
    inquiry = harness.sandbox.add_inquiry()
    async with TestClient(TestServer(app)) as client:
        async with client.ws_connect(f"/below/inquiries/{inquiry.id}") as socket:
            await socket.send_str("read")
            assert await socket.receive_json() == {"id": inquiry.id}
        async with client.ws_connect("/below/inquiries/inq_unknown") as socket:
            await socket.send_str("read")
            closed = await socket.receive()
        assert (closed.data, closed.extra) == (1013, "not_available")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect("/below/inquiries/a.b")
        assert caught.value.status == 404
        async with client.get("/below/stream") as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
