"""A user who mocks aiohttp with aioresponses mocks this library, too."""

import aiohttp
import pytest
from aioresponses import aioresponses

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.errors import ConnectError, Phase, UnexpectedRedirectError
from persona_share.testing import FakeClock, aioresponses_compat, fake_runtime
from tests.faults.environment import AutojumpClock
from tests.servers import new_request, sender_to


URL = "http://127.0.0.1:1/api/v1/inquiries/inq_1"


@pytest.fixture
def mocked():
    aioresponses_compat()
    with aioresponses() as mock:
        yield mock


@pytest.mark.asyncio
async def test_mocked_response_is_returned(mocked):
    mocked.get(URL, payload={"data": None}, headers={"Request-Id": "req_1"})
    async with sender_to("http://127.0.0.1:1") as sender:
        response = await sender.send(new_request())
    assert response.status == 200
    assert response.body == b'{"data": null}'
    assert response.headers["request-id"] == "req_1"


@pytest.mark.asyncio
async def test_mocked_request_can_be_looked_at(mocked):
    mocked.get(URL, status=404, payload={"errors": []})
    async with sender_to("http://127.0.0.1:1") as sender:
        assert (await sender.send(new_request())).status == 404
    [[call]] = mocked.requests.values()
    assert call.kwargs["headers"]["Authorization"] == "<masked>"
    assert call.kwargs["allow_redirects"] is False


@pytest.mark.asyncio
async def test_mocked_exception_is_converted_like_a_real_one(mocked):
    mocked.get(URL, exception=aiohttp.ConnectionTimeoutError())
    async with sender_to("http://127.0.0.1:1") as sender:
        with pytest.raises(ConnectError) as caught:
            await sender.send(new_request())
    assert caught.value.phase is Phase.NOT_SENT


KEY = "CANARY-api-key"
API = "https://api.withpersona.com/api/v1"
INQUIRY = {"data": {"type": "inquiry", "id": "inq_1", "attributes": {"status": "new"}}}


def new_client(**options):
    return PersonaClient(KEY, _runtime=fake_runtime(AutojumpClock()), **options)


@pytest.mark.asyncio
async def test_user_mocks_a_whole_client_at_its_real_address(mocked):
    mocked.get(f"{API}/inquiries/inq_1", payload=INQUIRY)
    async with new_client() as client:
        assert (await client.inquiries.retrieve("inq_1")).status == "new"
    mocked.assert_called_once()


@pytest.mark.asyncio
async def test_mocked_responses_are_retried(mocked):
    url = f"{API}/inquiries/inq_1"
    mocked.get(url, status=503)
    mocked.get(url, exception=aiohttp.ServerDisconnectedError())
    mocked.get(url, payload=INQUIRY)
    async with new_client() as client:
        assert (await client.inquiries.retrieve("inq_1")).id == "inq_1"
    [calls] = mocked.requests.values()
    assert len(calls) == 3


@pytest.mark.asyncio
async def test_mocked_redirect_is_not_followed(mocked):
    url = f"{API}/inquiries/inq_1"
    mocked.get(url, status=307, headers={"Location": f"{API}/elsewhere"})
    mocked.get(f"{API}/elsewhere", payload=INQUIRY)
    async with new_client() as client:
        with pytest.raises(UnexpectedRedirectError):
            await client.inquiries.retrieve("inq_1")
    assert len(mocked.requests) == 1


@pytest.mark.asyncio
async def test_session_uses_the_token_of_a_mocked_exchange(mocked):
    token = {"access-token": "oat-1", "token-type": "Bearer", "expires-in": 3599}
    mocked.post(f"{API}/oauth/token", payload=token | {"scope": "inquiry.read:inq_1"})
    mocked.get(f"{API}/inquiries/inq_1", payload=INQUIRY)
    async with (
        PersonaClient(KEY, _runtime=fake_runtime(FakeClock())) as client,
        ScopedTokenManager(client) as manager,
    ):
        scope = await manager.exchange("code-1")
        assert (await manager.session(scope).inquiries.retrieve("inq_1")).id == "inq_1"
    sent = [call.kwargs["headers"] for [call] in mocked.requests.values()]
    assert [each["Authorization"] for each in sent] == [f"Bearer {KEY}", "Bearer oat-1"]


@pytest.mark.asyncio
async def test_borrowed_session_can_be_mocked_as_well(mocked):
    mocked.get(f"{API}/inquiries/inq_1", payload=INQUIRY)
    async with aiohttp.ClientSession() as session, new_client(http=session) as client:
        assert (await client.inquiries.retrieve("inq_1")).id == "inq_1"


def test_shim_touches_aioresponses_alone():
    before = dict(vars(aiohttp.ClientResponse))
    aioresponses_compat()
    assert dict(vars(aiohttp.ClientResponse)) == before
    assert aiohttp.ClientResponse.__module__.startswith("aiohttp")


def test_shim_does_nothing_a_second_time():
    aioresponses_compat()
    assert aioresponses_compat() is False
