"""Authorization codes: what is sent, and what an unusable response reveals."""

from enum import Enum

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


class Partner(str, Enum):  # noqa: UP042  # as applications of older versions of Python do
    SHOP = "org_1"


@pytest.mark.asyncio
async def test_value_is_sent_when_the_partner_is_a_member_of_an_enum(harness):
    there = harness(make_response({"code": "code", "expires-in": 599}, 201))
    await OAuth(there.client._caller).authorize(
        client_id=Partner.SHOP, scope="inquiry.read:inq_1"
    )

    assert b"client-id=org_1&" in there.requests[0].body


@pytest.mark.asyncio
async def test_value_is_sent_when_a_form_has_a_member_of_an_enum(harness):
    there = harness(make_response({}, 201))
    await there.client.request(
        "POST", "/oauth/authorize", form={"client-id": Partner.SHOP}
    )

    assert there.requests[0].body == b"client-id=org_1"
