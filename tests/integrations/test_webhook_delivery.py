"""Webhook deliveries in both frameworks: same limits, same responses, nothing lost."""

import asyncio
import io
from typing import Annotated

import httpx
import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse

from persona_share.errors import PersonaError, StoreUnavailableError
from persona_share.integrations import (
    aiohttp as for_aiohttp,
    starlette as for_starlette,
)
from persona_share.stores.memory import MemoryStore
from persona_share.testing.clock import FakeClock, fake_runtime
from persona_share.webhooks import MAX_BODY, Delivery, ReplayGuard, Verifier, sign


SECRET = "wbhsec_one"
#: A report with many matches; aiohttp's own limit is 1 MiB.
LARGE = "x" * 1_500_000


def body_of(event_id="evt_1", text=""):
    attributes = {"name": "report.ready", "payload": {}, "context": {"note": text}}
    return orjson.dumps(
        {"data": {"type": "event", "id": event_id, "attributes": attributes}}
    )


class Store(MemoryStore):
    """A store that can be out of reach."""

    down = False

    async def read(self, key):
        if self.down:
            message = "connection refused by 10.0.0.7"
            raise StoreUnavailableError(message)
        return await super().read(key)


class Application:
    """Handles events as a test says, and delivers them to itself."""

    def __init__(self):
        self.clock = FakeClock()
        runtime = fake_runtime(self.clock)
        self.store = Store(runtime=runtime)
        guard = ReplayGuard(self.store, runtime=runtime)
        self.verifier = Verifier(SECRET, guard=guard, clock=self.clock)
        self.handled = []
        self.do = None
        self.post = None

    async def handle(self, delivery):
        if delivery.is_new:
            if self.do is not None:
                await self.do()
            self.handled.append(delivery.event.id)

    async def deliver(self, body=None, signature=None):
        body = body_of() if body is None else body
        signature = signature or sign(body, SECRET, at=self.clock.wall())
        return await self.post(body, {"Persona-Signature": signature})


def aiohttp_application(application):
    async def hook(request):
        async with for_aiohttp.verified(request, application.verifier) as delivery:
            await application.handle(delivery)
            return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    return app


def fastapi_application(application):
    app = FastAPI()
    dependency = Depends(for_starlette.verified(application.verifier))

    @app.post("/hook")
    async def hook(delivery: Annotated[Delivery, dependency]) -> None:
        await application.handle(delivery)

    return app


@pytest_asyncio.fixture(params=["aiohttp", "fastapi"])
async def application(request):
    made = Application()
    if request.param == "aiohttp":
        async with TestClient(TestServer(aiohttp_application(made))) as client:

            async def post(body, headers):
                async with client.post(
                    "/hook", data=io.BytesIO(body), headers=headers
                ) as response:
                    return response.status, response.headers, await response.text()

            made.post = post
            yield made
        return
    app = fastapi_application(made)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:

        async def post(body, headers):
            response = await client.post("/hook", content=body, headers=headers)
            return response.status_code, response.headers, response.text

        made.post = post
        yield made


@pytest.mark.asyncio
async def test_event_is_handled_once(application):
    responses = [(await application.deliver())[0] for _ in range(3)]

    assert responses == [200, 200, 200]
    assert application.handled == ["evt_1"]


@pytest.mark.asyncio
async def test_event_is_handled_again_after_its_handler_failed(application):
    async def fail():
        raise ZeroDivisionError

    application.do = fail
    assert (await application.deliver())[0] == 500
    application.do = None
    assert (await application.deliver())[0] == 200
    assert application.handled == ["evt_1"]


@pytest.mark.asyncio
async def test_repeated_delivery_gets_503_while_the_event_is_handled(application):
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def wait():
        begun.set()
        await goes_on.wait()

    application.do = wait
    first = asyncio.ensure_future(application.deliver())
    await begun.wait()
    status, headers, _ = await application.deliver()
    goes_on.set()

    assert (await first)[0] == 200
    assert status == 503
    assert 1 <= int(headers["Retry-After"]) <= 30
    assert application.handled == ["evt_1"]


@pytest.mark.asyncio
async def test_large_event_is_handled_and_one_over_the_limit_is_not(application):
    assert (await application.deliver(body_of(text=LARGE)))[0] == 200
    too_large = body_of("evt_2", "x" * MAX_BODY)
    assert (await application.deliver(too_large))[0] == 413
    assert application.handled == ["evt_1"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("refused", "response", "logged"),
    [
        (
            {"signature": "t=1,v1=" + "0" * 64},
            (400, "bad_signature", "The signature of the delivery is not valid."),
            "a webhook was refused: mismatch",
        ),
        (
            {"body": body_of("evt_2", "x" * MAX_BODY)},
            (413, "too_large", "The body is too large."),
            "a webhook was refused: body_too_large",
        ),
        (
            {},
            (503, "not_available", "The shared data is not available at the moment."),
            "connection refused by 10.0.0.7",
        ),
    ],
    ids=["forged", "too large", "store down"],
)
async def test_every_refusal_has_one_shape_and_its_reason_is_only_logged(
    application, caplog, refused, response, logged
):
    application.store.down = not refused
    found, headers, text = await application.deliver(**refused)
    status, code, message = response

    assert found == status
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"] == "no-store"
    assert orjson.loads(text) == {"error": {"code": code, "message": message}}
    assert logged in caplog.text
    assert application.handled == []


@pytest.mark.asyncio
async def test_handler_of_the_application_takes_precedence(caplog):
    made = Application()
    app = fastapi_application(made)

    @app.exception_handler(PersonaError)
    async def response(request, error):
        return JSONResponse({"mine": type(error).__name__}, 418)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        responded = await client.post("/hook", content=b"{}")
    assert (responded.status_code, responded.json()) == (
        418,
        {"mine": "SignatureError"},
    )


@pytest.mark.asyncio
async def test_other_routes_respond_as_before_a_delivery():
    made = Application()
    app = fastapi_application(made)

    @app.get("/other")
    async def other() -> None:
        raise StoreUnavailableError("down")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        statuses = [
            (await client.get("/other")).status_code,
            (await client.post("/hook", content=b"{}")).status_code,
            (await client.get("/other")).status_code,
        ]

    assert statuses == [500, 400, 500]
