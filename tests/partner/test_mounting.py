"""One endpoint, mounted in FastAPI, below aiohttp.web, and run by itself."""

import asyncio

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import FastAPI

from persona_share.errors import ClientClosedError, ConfigurationError
from persona_share.partner.endpoint import MAX_BODY
from tests.partner.conftest import URL, error_of


pytestmark = pytest.mark.asyncio


def in_process(app):
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="https://source.example")


async def test_fastapi_mounts_it_and_keeps_it_open(harness):
    issuer = harness.new_issuer()
    app = FastAPI(lifespan=issuer.lifespan)
    app.mount("/partner", issuer.asgi())
    scope = await harness.shared()
    async with app.router.lifespan_context(app), in_process(app) as client:
        response = await client.post("/partner/codes", data=harness.form(scope))
        assert response.json()["scope"] == scope
        wrong = await client.post("/partner/other", data=harness.form(scope))
        assert error_of(wrong) == (404, "invalid_request")


async def test_aiohttp_runs_it_below_another_application(harness):
    app = web.Application()
    app.add_subapp("/partner", harness.new_issuer().aiohttp())
    scope = await harness.shared()
    async with TestServer(app) as server, aiohttp.ClientSession() as client:
        url = server.make_url("/partner/codes")
        async with client.post(url, data=harness.form(scope)) as response:
            assert (await response.json())["scope"] == scope
            assert response.headers["Cache-Control"] == "no-store"
        async with client.get(url) as response:
            assert response.status == 405
            assert response.headers["Allow"] == "POST"
        async with client.post(url, data=b"x" * (MAX_BODY + 1)) as response:
            assert response.status == 413


async def test_asgi_server_without_a_framework_opens_and_closes_the_issuer(harness):
    app = harness.new_issuer().asgi()
    scope = await harness.shared()
    incoming, sent = asyncio.Queue(), asyncio.Queue()
    serving = asyncio.ensure_future(app({"type": "lifespan"}, incoming.get, sent.put))
    await incoming.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    async with in_process(app) as client:
        response = await client.post("/codes", data=harness.form(scope))
        assert response.status_code == 200
    await incoming.put({"type": "lifespan.shutdown"})
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await serving


async def test_failed_startup_is_reported_to_the_server(harness):
    await harness.source.aclose()
    app = harness.new_issuer().asgi()
    incoming, sent = asyncio.Queue(), asyncio.Queue()
    await incoming.put({"type": "lifespan.startup"})
    await app({"type": "lifespan"}, incoming.get, sent.put)
    message = await sent.get()
    assert message["type"] == "lifespan.startup.failed"
    assert str(ClientClosedError("the client was closed")) in message["message"]


async def test_websocket_is_closed(harness):
    async with harness.issuing() as issuer:
        sent = asyncio.Queue()
        await issuer.asgi()({"type": "websocket"}, None, sent.put)
    assert (await sent.get())["type"] == "websocket.close"


async def test_client_that_leaves_gets_no_code(harness):
    async with harness.issuing() as issuer:
        sent = asyncio.Queue()
        headers = [(b"content-type", b"application/x-www-form-urlencoded")]
        scope = {"type": "http", "method": "POST", "path": "/codes", "headers": headers}

        async def receive():
            return {"type": "http.disconnect"}

        await issuer.asgi()(scope, receive, sent.put)
    assert sent.empty()


async def test_serving_needs_an_address(harness):
    issuer = harness.new_issuer(url=None)
    for mount in (issuer.asgi, issuer.aiohttp):
        with pytest.raises(ConfigurationError):
            mount()
    with pytest.raises(ConfigurationError):
        harness.new_issuer(url=URL.replace("https", "http"))
