"""Other HTTP clients whose requests get a manager's tokens."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest

from persona_share import Scope, Secret
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    ManagerClosedError,
    UsageError,
)
from persona_share.integrations.aiohttp_client import ScopedTokens
from persona_share.integrations.httpx import ScopedAuth
from persona_share.testing import FakeClock
from tests.servers import RawServer, answer, answering


class Foreign:
    """The common interface of both HTTP clients."""

    def __init__(self, client):
        self._client = client


class ForeignAiohttp(Foreign):
    @classmethod
    @asynccontextmanager
    async def opened(cls, manager, scope):
        middlewares = [ScopedTokens(manager, scope)]
        async with aiohttp.ClientSession(middlewares=middlewares) as client:
            yield cls(client)

    async def ask(self, method, url, data=None, **options):
        async with self._client.request(method, url, data=data, **options) as answer:
            return answer.status, await answer.read()


class ForeignHttpx(Foreign):
    @classmethod
    @asynccontextmanager
    async def opened(cls, manager, scope):
        auth = ScopedAuth(manager, scope)
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            yield cls(client)

    async def ask(self, method, url, data=None, **options):
        answer = await self._client.request(method, url, content=data, **options)
        return answer.status_code, answer.content


@pytest.fixture(params=[ForeignAiohttp, ForeignHttpx], ids=["aiohttp", "httpx"])
def foreign(request):
    return request.param


@pytest.mark.asyncio
async def test_a_foreign_client_reads_under_a_token_that_is_renewed(stage, foreign):
    inquiry = stage.box.add_inquiry()
    url = f"{stage.box.url}/inquiries/{inquiry.id}"
    async with (
        stage.opening() as manager,
        foreign.opened(manager, Scope.read(inquiry.id)) as client,
    ):
        for _ in range(3 * 12):  # three hours
            status, body = await client.ask("GET", url)
            assert status == 200
            assert json.loads(body)["data"]["id"] == inquiry.id
            await stage.clock.settle()
            stage.clock.advance(300)
    assert stage.box.log.count(status=401) == 0
    assert 3 <= stage.box.log.tokens_issued <= 5


@pytest.mark.asyncio
async def test_middleware_uses_the_token_of_the_managers_sessions(stage, foreign):
    inquiry = stage.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    url = f"{stage.box.url}/inquiries/{inquiry.id}"
    async with stage.opening() as manager, foreign.opened(manager, scope) as client:
        await manager.session(scope).inquiries.retrieve(inquiry.id)
        await asyncio.gather(*(client.ask("GET", url) for _ in range(50)))
    assert stage.box.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_f79_a_revoked_token_is_replaced_and_the_caller_sees_nothing(
    stage, foreign
):
    inquiry = stage.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    url = f"{stage.box.url}/inquiries/{inquiry.id}"
    async with stage.opening() as manager, foreign.opened(manager, scope) as client:
        await client.ask("GET", url)
        stage.clock.advance(60)
        stage.box.revoke(str(scope))
        status, _ = await stage.until(client.ask("GET", url), step=0.1)
    assert status == 200
    assert stage.box.log.tokens_issued == 2


@pytest.mark.asyncio
async def test_t1_token_is_never_sent_to_a_second_origin(stage, foreign):
    inquiry = stage.box.add_inquiry()
    async with (
        RawServer(answering(answer(401))) as other,
        stage.opening() as manager,
        foreign.opened(manager, Scope.read(inquiry.id)) as client,
    ):
        token = (await manager.token(Scope.read(inquiry.id))).reveal()
        assert (await client.ask("GET", f"{other.url}/api/v1/x"))[0] == 401
        assert (await client.ask("POST", f"{other.api}/x", data=b"a"))[0] == 401
        assert other.received.count(b"HTTP/1.1") == 2
        assert token.encode() not in other.received
        assert b"authorization" not in other.received.lower()
        # A stranger's 401 says nothing about the token.
        assert manager.metrics().unauthorized == 0


@pytest.mark.asyncio
async def test_t1_token_is_not_sent_to_a_redirect_target(foreign):
    async with RawServer(answering(answer(401))) as trap:
        moved = answer(302, b"", [("Location", f"{trap.url}/x")])
        async with RawServer(answering(moved)) as server:
            manager = HandedOut(server.url)
            async with foreign.opened(manager, "inquiry.read:inq_1") as client:
                status, _ = await client.ask("GET", f"{server.api}/a")
    assert status == 401
    assert b"Authorization: Bearer lent" in server.received
    assert b"GET /x" in trap.received
    assert b"authorization" not in trap.received.lower()
    assert manager.complaints == 0


@pytest.mark.asyncio
async def test_streamed_body_is_not_retried(foreign):
    async def pieces():
        yield b"one"

    async with RawServer(answering(answer(401))) as server:
        manager = HandedOut(server.url)
        async with foreign.opened(manager, "inquiry.read:inq_1") as client:
            assert (await client.ask("POST", server.api, data=pieces()))[0] == 401
            assert manager.complaints == 0
            assert (await client.ask("POST", server.api, data=b"one"))[0] == 401
            assert manager.complaints == 1


@pytest.mark.asyncio
async def test_request_is_not_sent_when_no_token_is_available(foreign):
    async with RawServer(answering(answer())) as server:
        manager = HandedOut(server.url, error=AuthorizationCodeRequiredError("none"))
        async with foreign.opened(manager, "inquiry.read:inq_1") as client:
            with pytest.raises(AuthorizationCodeRequiredError):
                await client.ask("GET", server.api)
        assert server.connections == 0


@pytest.mark.asyncio
async def test_closed_manager_supplies_no_token(stage, foreign):
    inquiry = stage.box.add_inquiry()
    async with (
        stage.opening() as manager,
        foreign.opened(manager, Scope.read(inquiry.id)) as client,
    ):
        url = f"{stage.box.url}/inquiries/{inquiry.id}"
        assert (await client.ask("GET", url))[0] == 200
        await manager.aclose()
        with pytest.raises(ManagerClosedError):
            await client.ask("GET", url)


def test_a_synchronous_client_is_refused():
    auth = ScopedAuth(HandedOut("http://127.0.0.1:1"), "inquiry.read:inq_1")
    with httpx.Client(auth=auth) as client, pytest.raises(UsageError, match="Async"):
        client.get("http://127.0.0.1:1")


class HandedOut:
    """A manager that always returns the same token."""

    header = Secret("Bearer lent")

    def __init__(self, url, *, error=None):
        self._url = url
        self._error = error
        self.complaints = 0
        self.clock = FakeClock()

    def credential(self, _scope):
        return self

    def serves(self, url):
        return url.startswith(self._url)

    async def get(self):
        if self._error is not None:
            raise self._error
        return self

    def on_success(self, _authorization):
        pass

    async def on_unauthorized(self, _authorization, _refusals):
        self.complaints += 1
