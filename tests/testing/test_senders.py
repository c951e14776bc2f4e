"""ScriptedSender, and the front of the test kits."""

import pytest

from persona_share import testing
from persona_share._protocol.http import Request, Response
from persona_share.errors import ConnectError
from persona_share.testing import ScriptedSender


REQUEST = Request(method="GET", route="/x", target="/x", deadline=0)


@pytest.mark.asyncio
async def test_scripted_sender_returns_its_responses_and_keeps_requests():
    async def later(request):
        return Response(status=202)

    sender = ScriptedSender(
        [
            Response(status=200),
            lambda request: Response(status=201, body=request.route.encode()),
            later,
            ConnectError("no"),
        ]
    )
    assert (await sender.send(REQUEST)).status == 200
    assert (await sender.send(REQUEST)).body == b"/x"
    assert (await sender.send(REQUEST)).status == 202
    with pytest.raises(ConnectError):
        await sender.send(REQUEST)
    assert sender.requests == [REQUEST] * 4


@pytest.mark.asyncio
async def test_request_without_a_scripted_response_fails_the_test():
    with pytest.raises(AssertionError, match="GET /x"):
        await ScriptedSender().send(REQUEST)


def test_every_public_name_can_be_imported():
    assert all(callable(getattr(testing, name)) for name in testing.__all__)
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError):
        testing.nothing  # noqa: B018 — asking is the point
