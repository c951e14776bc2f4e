"""ScriptedSender, and the front of the test kits."""

import pytest

from persona_share import testing
from persona_share._protocol.http import Request, Response
from persona_share.errors import ConnectError
from persona_share.testing import ScriptedSender


REQUEST = Request(method="GET", route="/x", target="/x", deadline=0)


@pytest.mark.asyncio
async def test_it_answers_from_its_list_and_keeps_the_requests():
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
async def test_one_request_too_many_is_a_failure_of_the_test():
    with pytest.raises(AssertionError, match="GET /x"):
        await ScriptedSender().send(REQUEST)


def test_every_kit_can_be_fetched_by_its_name():
    assert all(callable(getattr(testing, name)) for name in testing.__all__)
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError):
        testing.nothing  # noqa: B018 — asking is the point
