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
from tests.servers import RawServer, http_response, respond_with


class OtherClient:
    """The common interface of both HTTP clients."""

    def __init__(self, client):
        self._client = client


class OtherAiohttpClient(OtherClient):
    @classmethod
    @asynccontextmanager
    async def opened(cls, manager, scope):
        middlewares = [ScopedTokens(manager, scope)]
        async with aiohttp.ClientSession(middlewares=middlewares) as client:
            yield cls(client)

    async def ask(self, method, url, data=None, **options):
        async with self._client.request(method, url, data=data, **options) as response:
            return response.status, await response.read()


class OtherHttpxClient(OtherClient):
    @classmethod
    @asynccontextmanager
    async def opened(cls, manager, scope):
        auth = ScopedAuth(manager, scope)
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            yield cls(client)

    async def ask(self, method, url, data=None, **options):
        response = await self._client.request(method, url, content=data, **options)
        return response.status_code, response.content


@pytest.fixture(params=[OtherAiohttpClient, OtherHttpxClient], ids=["aiohttp", "httpx"])
def other_client(request):
    return request.param


@pytest.mark.asyncio
async def test_foreign_client_reads_under_a_token_that_is_refreshed(
    harness, other_client
):
    inquiry = harness.sandbox.add_inquiry()
    url = f"{harness.sandbox.url}/inquiries/{inquiry.id}"
    async with (
        harness.opening() as manager,
        other_client.opened(manager, Scope.read(inquiry.id)) as client,
    ):
        for _ in range(3 * 12):  # three hours
            status, body = await client.ask("GET", url)
            assert status == 200
            assert json.loads(body)["data"]["id"] == inquiry.id
            await harness.clock.settle()
            harness.clock.advance(300)
    assert harness.sandbox.log.count(status=401) == 0
    assert 3 <= harness.sandbox.log.tokens_issued <= 5


@pytest.mark.asyncio
async def test_middleware_uses_the_token_of_the_managers_sessions(
    harness, other_client
):
    inquiry = harness.sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    url = f"{harness.sandbox.url}/inquiries/{inquiry.id}"
    async with (
        harness.opening() as manager,
        other_client.opened(manager, scope) as client,
    ):
        await manager.session(scope).inquiries.retrieve(inquiry.id)
        await asyncio.gather(*(client.ask("GET", url) for _ in range(50)))
    assert harness.sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_f79_revoked_token_is_replaced_and_the_caller_sees_nothing(
    harness, other_client
):
    inquiry = harness.sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    url = f"{harness.sandbox.url}/inquiries/{inquiry.id}"
    async with (
        harness.opening() as manager,
        other_client.opened(manager, scope) as client,
    ):
        await client.ask("GET", url)
        harness.clock.advance(60)
        harness.sandbox.revoke(str(scope))
        status, _ = await harness.advance_until_done(client.ask("GET", url), step=0.1)
    assert status == 200
    assert harness.sandbox.log.tokens_issued == 2


@pytest.mark.asyncio
async def test_token_is_never_sent_to_a_second_origin(harness, other_client):
    inquiry = harness.sandbox.add_inquiry()
    async with (
        RawServer(respond_with(http_response(401))) as other,
        harness.opening() as manager,
        other_client.opened(manager, Scope.read(inquiry.id)) as client,
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
async def test_token_is_not_sent_to_a_redirect_target(other_client):
    async with RawServer(respond_with(http_response(401))) as trap:
        moved = http_response(302, b"", [("Location", f"{trap.url}/x")])
        async with RawServer(respond_with(moved)) as server:
            manager = FixedTokenManager(server.url)
            async with other_client.opened(manager, "inquiry.read:inq_1") as client:
                status, _ = await client.ask("GET", f"{server.api}/a")
    assert status == 401
    assert b"Authorization: Bearer lent" in server.received
    assert b"GET /x" in trap.received
    assert b"authorization" not in trap.received.lower()
    assert manager.rejections == 0


@pytest.mark.asyncio
async def test_streamed_body_is_not_retried(other_client):
    async def pieces():
        yield b"one"

    async with RawServer(respond_with(http_response(401))) as server:
        manager = FixedTokenManager(server.url)
        async with other_client.opened(manager, "inquiry.read:inq_1") as client:
            assert (await client.ask("POST", server.api, data=pieces()))[0] == 401
            assert manager.rejections == 0
            assert (await client.ask("POST", server.api, data=b"one"))[0] == 401
            assert manager.rejections == 1


@pytest.mark.asyncio
async def test_request_is_not_sent_when_no_token_is_available(other_client):
    async with RawServer(respond_with(http_response())) as server:
        manager = FixedTokenManager(
            server.url, error=AuthorizationCodeRequiredError("none")
        )
        async with other_client.opened(manager, "inquiry.read:inq_1") as client:
            with pytest.raises(AuthorizationCodeRequiredError):
                await client.ask("GET", server.api)
        assert server.connections == 0


@pytest.mark.asyncio
async def test_closed_manager_supplies_no_token(harness, other_client):
    inquiry = harness.sandbox.add_inquiry()
    async with (
        harness.opening() as manager,
        other_client.opened(manager, Scope.read(inquiry.id)) as client,
    ):
        url = f"{harness.sandbox.url}/inquiries/{inquiry.id}"
        assert (await client.ask("GET", url))[0] == 200
        await manager.aclose()
        with pytest.raises(ManagerClosedError):
            await client.ask("GET", url)


def test_synchronous_client_is_refused():
    auth = ScopedAuth(FixedTokenManager("http://127.0.0.1:1"), "inquiry.read:inq_1")
    with httpx.Client(auth=auth) as client, pytest.raises(UsageError, match="Async"):
        client.get("http://127.0.0.1:1")


class FixedTokenManager:
    """A manager that always returns the same token."""

    header = Secret("Bearer lent")

    def __init__(self, url, *, error=None):
        self._url = url
        self._error = error
        self.rejections = 0
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
        self.rejections += 1
