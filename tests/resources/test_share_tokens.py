"""Share tokens: made, peeked at, and ended."""

from datetime import timedelta

import pytest

from persona_share.errors import ConflictError, InvalidArgumentError
from persona_share.model.share_token import ShareTokenStatus, Visibility
from tests.resources.conftest import one, problem, share_token as token


# ── making one ───────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_share_token_offers_one_object_over_a_connection(stage):
    there = stage(token("created"))

    made = await there.client.share_tokens.create(
        connection_id="cxn_1", source_id="inq_1", expires_in=timedelta(days=1)
    )

    assert made.status is ShareTokenStatus.CREATED
    assert there.bodies == [
        {
            "data": {
                "attributes": {
                    "connection-id": "cxn_1",
                    "source-id": "inq_1",
                    "expires-in-seconds": 86400,
                }
            }
        }
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("life", [timedelta(seconds=60), timedelta(days=21)])
async def test_the_longest_and_the_shortest_life_are_sent(stage, life):
    there = stage(token("created"))

    await there.client.share_tokens.create(
        connection_id="cxn_1", source_id="inq_1", expires_in=life
    )

    sent = there.bodies[0]["data"]["attributes"]["expires-in-seconds"]
    assert sent == life.total_seconds()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "life",
    [
        timedelta(seconds=59),
        timedelta(days=21, seconds=1),
        timedelta(seconds=60.5),
        timedelta(0),
        -timedelta(days=1),
        3600,
        "1 day",
    ],
)
async def test_any_other_life_is_refused_before_anything_is_sent(stage, life):
    there = stage()

    with pytest.raises(InvalidArgumentError, match="expires_in"):
        await there.client.share_tokens.create(
            connection_id="cxn_1", source_id="inq_1", expires_in=life
        )
    assert there.requests == []


@pytest.mark.asyncio
async def test_g25_making_one_is_not_repeatable_and_says_where_to_look(stage):
    there = stage(token("created"))

    await there.client.share_tokens.create(connection_id="cxn_1", source_id="inq_1")

    (request,) = there.requests
    assert not request.repeatable
    assert request.reconcile == "share_tokens.list(connection_id=…), newest first"


# ── reading one ──────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_peeking_shows_what_the_source_lets_be_seen(stage):
    source = {
        "type": "connect/source-data/inquiry",
        "id": "inq_1",
        "peekable-attributes": {
            "status": {"visibility": "full", "value": "completed"},
            "fields": {
                "name-first": {"visibility": "full", "value": "Jane"},
                "birthdate": {"visibility": "presence", "value": True},
            },
        },
        "related-objects": [
            {
                "type": "connect/source-data/verification/government-id",
                "id": "ver_1",
                "peekable-attributes": {},
            }
        ],
    }
    there = stage(token("created", source_data=source))

    found = (
        await there.client.share_tokens.retrieve("cnst_1", peek_source_data=True)
    ).source_data

    assert there.requests[0].target.endswith("?peek-source-data=true")
    assert found.id == "inq_1"
    assert found.attributes["status"].value == "completed"
    assert found.fields["birthdate"].visibility is Visibility.PRESENCE
    assert found.fields["birthdate"].value is True
    assert [each.id for each in found.related_objects] == ["ver_1"]
    assert "Jane" not in repr(found)


@pytest.mark.asyncio
async def test_without_the_capability_nothing_can_be_seen(stage):
    there = stage(token("created"))

    found = await there.client.share_tokens.retrieve("cnst_1", peek_source_data=True)

    assert found.source_data is None


@pytest.mark.asyncio
async def test_expiring_may_be_repeated(stage):
    there = stage(one("connect/share-token", "cnst_1", status="expired"))

    found = await there.client.share_tokens.expire("cnst_1")

    assert found.status is ShareTokenStatus.EXPIRED
    assert there.requests[0].repeatable


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [409, 422])
async def test_f37_f38_expiring_what_had_expired_is_a_success(stage, status):
    expired = one("connect/share-token", "cnst_1", status="expired")
    there = stage(problem(status), expired)

    found = await there.client.share_tokens.expire("cnst_1")

    assert found.status is ShareTokenStatus.EXPIRED
    assert [each.method for each in there.requests] == ["POST", "GET"]


@pytest.mark.asyncio
@pytest.mark.parametrize("state", ["redeemed", "pending", "created"])
async def test_f37_expiring_what_cannot_expire_is_a_conflict(stage, state):
    there = stage(problem(409), one("connect/share-token", "cnst_1", status=state))

    with pytest.raises(ConflictError):
        await there.client.share_tokens.expire("cnst_1")
