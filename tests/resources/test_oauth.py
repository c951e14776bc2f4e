"""Authorization codes: what is sent, and what an unusable response reveals."""

import pytest

from persona_share.errors import MalformedResponseError
from persona_share.resources.oauth import OAuth
from tests.resources.conftest import locals_of, make_response


@pytest.mark.parametrize(
    "body",
    [
        {"code": "CANARY", "expires-in": "soon"},
        {"code": "CANARY with spaces", "expires-in": 599},
        {"code": "CANARY"},
        ["CANARY"],
    ],
    ids=repr,
)
@pytest.mark.asyncio
async def test_no_frame_of_an_unusable_authorization_shows_the_code(harness, body):
    there = harness(make_response(body, 201))

    with pytest.raises(MalformedResponseError) as caught:
        await OAuth(there.client._caller).authorize(
            client_id="org_1", scope="inquiry.read:inq_1"
        )
    assert caught.value.operation == "POST /oauth/authorize"
    assert "CANARY" not in f"{caught.value}{locals_of(caught.value)}"
