"""A user who mocks aiohttp with aioresponses mocks this library, too."""

import aiohttp
import pytest
from aioresponses import aioresponses

from persona_share.errors import ConnectError, Phase
from persona_share.testing import aioresponses_compat
from tests.servers import TOKEN, a_request, sender_to


URL = "http://127.0.0.1:1/api/v1/inquiries/inq_1"


@pytest.fixture
def mocked():
    aioresponses_compat()
    with aioresponses() as mock:
        yield mock


@pytest.mark.asyncio
async def test_a_mocked_answer_arrives(mocked):
    mocked.get(URL, payload={"data": None}, headers={"Request-Id": "req_1"})
    async with sender_to("http://127.0.0.1:1") as sender:
        response = await sender.send(a_request())
    assert response.status == 200
    assert response.body == b'{"data": null}'
    assert response.headers["request-id"] == "req_1"


@pytest.mark.asyncio
async def test_a_mocked_request_can_be_looked_at(mocked):
    mocked.get(URL, status=404, payload={"errors": []})
    async with sender_to("http://127.0.0.1:1") as sender:
        assert (await sender.send(a_request())).status == 404
    [[call]] = mocked.requests.values()
    assert call.kwargs["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert call.kwargs["allow_redirects"] is False


@pytest.mark.asyncio
async def test_a_mocked_exception_is_converted_like_a_real_one(mocked):
    mocked.get(URL, exception=aiohttp.ConnectionTimeoutError())
    async with sender_to("http://127.0.0.1:1") as sender:
        with pytest.raises(ConnectError) as caught:
            await sender.send(a_request())
    assert caught.value.phase is Phase.NOT_SENT


def test_the_shim_does_nothing_a_second_time():
    aioresponses_compat()
    assert aioresponses_compat() is False
