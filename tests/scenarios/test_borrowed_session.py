"""A borrowed aiohttp session is unchanged and cannot weaken security."""

import aiohttp
import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import (
    NotFoundError,
    ResponseTooLargeError,
    ServerError,
    UnexpectedRedirectError,
)
from persona_share.model.policy import RetryPolicy
from tests.servers import RawServer, decompression_bomb, http_response, respond_with


GOOD = http_response(200, b'{"data":null}', [("Set-Cookie", "ours=1")])


class Intruder:
    """All settings of a session that could intercept requests."""

    def __init__(self):
        self.seen = []
        self.trace = aiohttp.TraceConfig()
        for signal in ("request_start", "request_end", "request_redirect"):
            getattr(self.trace, f"on_{signal}").append(self._traced)

    async def _traced(self, *_arguments):
        self.seen.append("trace")

    async def _between(self, request, handler):
        self.seen.append("middleware")
        return await handler(request)

    def session(self):
        return aiohttp.ClientSession(
            "http://127.0.0.1:1/elsewhere/",
            headers={"Authorization": "Bearer theirs", "Accept": "x/theirs"},
            cookies={"theirs": "1"},
            raise_for_status=True,
            trust_env=True,
            trace_configs=[self.trace],
            middlewares=[self._between],
            timeout=aiohttp.ClientTimeout(total=0.001),
            json_serialize=lambda _value: "theirs",
            version=aiohttp.HttpVersion10,
            max_line_size=100_000_000,
            max_field_size=100_000_000,
        )


def state_of(session):
    return {
        "headers": dict(session.headers),
        "cookies": sorted(str(each) for each in session.cookie_jar),
        "timeout": session.timeout,
        "raises": session.raise_for_status,
        "traces": list(session.trace_configs),
        "connector": session.connector,
        "limit": session.connector.limit,
        "closed": session.closed,
    }


def new_client(server, session):
    return PersonaClient(
        "key",
        base_url=server.api,
        insecure_local=True,
        http=session,
        retry=RetryPolicy(attempts=1),
    )


@pytest.mark.asyncio
async def test_borrowed_session_is_unchanged_and_its_settings_are_not_sent():
    intruder = Intruder()
    async with RawServer(respond_with(GOOD)) as server, intruder.session() as session:
        before = state_of(session)
        async with new_client(server, session) as client:
            await client.request("GET", "/x")
            await client.request("POST", "/x", json={"a": 1})
        assert state_of(session) == before
        async with new_client(server, session) as client:  # and may be borrowed again
            await client.request("GET", "/x")
    assert b"theirs" not in server.received
    assert b"cookie" not in server.received.lower()
    assert server.received.count(b" HTTP/1.1\r\n") == 3
    assert b'{"a":1}' in server.received
    assert server.received.count(b"Authorization: Bearer key\r\n") == 3
    assert intruder.seen == []


RESPONSES = {
    "not found": (respond_with(http_response(404, b'{"errors":[]}')), NotFoundError),
    "failed": (respond_with(http_response(500, b'{"errors":[]}')), ServerError),
    "redirect": (
        respond_with(http_response(307, b"", [("Location", "http://127.0.0.1:1/")])),
        UnexpectedRedirectError,
    ),
    "bomb": (decompression_bomb(64), ResponseTooLargeError),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("handler", "kind"), RESPONSES.values(), ids=RESPONSES)
async def test_results_are_the_same_with_hooks(handler, kind):
    intruder = Intruder()
    async with RawServer(handler) as server, intruder.session() as session:
        async with new_client(server, session) as client:
            with pytest.raises(kind):
                await client.request("GET", "/x")
        assert not session.closed
    assert intruder.seen == []


@pytest.mark.asyncio
async def test_main_job_works_with_a_borrowed_session(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with (
        Intruder().session() as session,
        PersonaClient(
            scenario.sandbox.destination.api_key,
            base_url=scenario.sandbox.url,
            insecure_local=True,
            http=session,
            _runtime=scenario.destination.context.runtime,
        ) as client,
        ScopedTokenManager(client) as manager,
    ):
        await manager.exchange(await scenario.ask_partner(scope))
        shared = await manager.session(scope).inquiries.retrieve(inquiry.id)
    assert shared.id == inquiry.id
