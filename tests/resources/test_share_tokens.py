"""Share tokens are offered, redeemed, waited for and expired."""

import asyncio
from datetime import timedelta

import pytest

from persona_share.errors import (
    Attempt,
    ConflictError,
    ConnectionLostError,
    InvalidArgumentError,
    InvalidIdError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    Phase,
    RedemptionFailedError,
    RedemptionPendingError,
    ShareTokenExpiredError,
    UnprocessableError,
)
from persona_share.model.share_token import (
    FailureReason,
    RedeemMode,
    ShareTokenStatus,
    Visibility,
)
from tests.resources.conftest import one, problem, share_token as token


# ── Offers ───────────────────────────────────────────────────────────────────


# ── making one ───────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_share_token_offers_one_object_over_a_connection(harness):
    there = harness(token("created"))

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
async def test_longest_and_the_shortest_life_are_sent(harness, life):
    there = harness(token("created"))

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
async def test_any_other_life_is_refused_before_anything_is_sent(harness, life):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="expires_in"):
        await there.client.share_tokens.create(
            connection_id="cxn_1", source_id="inq_1", expires_in=life
        )
    assert there.requests == []


@pytest.mark.asyncio
async def test_refused_life_is_named_in_seconds_and_days(harness):
    with pytest.raises(InvalidArgumentError, match="be 60 s to 21 days, not 5 s"):
        await harness().client.share_tokens.create(
            connection_id="cxn_1", source_id="inq_1", expires_in=timedelta(seconds=5)
        )


@pytest.mark.asyncio
async def test_create_is_not_repeatable_and_names_the_call_that_reconciles_it(harness):
    there = harness(token("created"))

    await there.client.share_tokens.create(connection_id="cxn_1", source_id="inq_1")

    (request,) = there.requests
    assert not request.repeatable
    assert request.reconcile == "share_tokens.list(connection_id=…), newest first"


# ── reading one ──────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_peeking_shows_the_visible_attributes(harness):
    source = {
        "type": "connect/source-data/inquiry",
        "id": "inq_1",
        "peekable-attributes": {
            "status": {"visibility": "full", "value": "completed"},
            "fields": {
                "name-first": {"visibility": "full", "value": "Jane"},
                "birthdate": {"visibility": "presence", "value": True},
                "odd": {"value": 1},
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
    there = harness(token("created", source_data=source))

    found = (
        await there.client.share_tokens.retrieve("cnst_1", peek_source_data=True)
    ).source_data

    assert there.requests[0].target.endswith("?peek-source-data=true")
    assert found.id == "inq_1"
    assert found.attributes["status"].value == "completed"
    assert found.fields["birthdate"].visibility is Visibility.PRESENCE
    assert found.fields["birthdate"].value is True
    assert found.fields["odd"].visibility is None
    assert [each.id for each in found.related_objects] == ["ver_1"]
    assert "Jane" not in repr(found)


@pytest.mark.asyncio
async def test_source_data_is_none_without_the_capability(harness):
    there = harness(token("created"))

    found = await there.client.share_tokens.retrieve("cnst_1", peek_source_data=True)

    assert found.source_data is None


@pytest.mark.asyncio
async def test_expire_is_repeatable(harness):
    there = harness(one("connect/share-token", "cnst_1", status="expired"))

    found = await there.client.share_tokens.expire("cnst_1")

    assert found.status is ShareTokenStatus.EXPIRED
    assert there.requests[0].repeatable


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [409, 422])
async def test_f37_f38_expire_succeeds_when_already_expired(harness, status):
    expired = one("connect/share-token", "cnst_1", status="expired")
    there = harness(problem(status), expired)

    found = await there.client.share_tokens.expire("cnst_1")

    assert found.status is ShareTokenStatus.EXPIRED
    assert [each.method for each in there.requests] == ["POST", "GET"]


@pytest.mark.asyncio
@pytest.mark.parametrize("state", ["redeemed", "pending", "created"])
async def test_f37_expire_raises_a_conflict_in_other_states(harness, state):
    there = harness(problem(409), one("connect/share-token", "cnst_1", status=state))

    with pytest.raises(ConflictError):
        await there.client.share_tokens.expire("cnst_1")


# ── Redemptions ──────────────────────────────────────────────────────────────


REASONS = [
    "source_not_found",
    "source_redacted",
    "import_failed",
    "unrecoverable_error",
]
LOST = OutcomeUnknownError("sent", idempotency_key="key-1", reconcile="retrieve")


async def until(clock, task, steps=400):
    """Let time pass until something is done."""
    task = asyncio.ensure_future(task)
    for _ in range(steps):
        await asyncio.wait({task}, timeout=0.001)
        if task.done():
            break
        clock.advance(1.0)
    return await task


# ── redeeming ────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_clone_has_no_body(harness):
    there = harness(token("pending", redeem_mode="clone"))

    found = await there.client.share_tokens.redeem("cnst_1")

    assert found.redeem_mode is RedeemMode.CLONE
    assert there.requests[0].body is None


@pytest.mark.asyncio
async def test_object_is_filled_with_fields_mapped_from_source_to_destination(
    harness,
):
    there = harness(token("pending", redeem_mode="hydrate"))

    await there.client.share_tokens.redeem(
        "cnst_1",
        destination_id="inq_2",
        field_mappings={"address_street_1": "street_address"},
    )

    assert there.bodies == [
        {
            "data": {"attributes": {"destination-id": "inq_2"}},
            "meta": {
                "field-mappings": [
                    {
                        "source-field-name": "address_street_1",
                        "destination-field-name": "street_address",
                    }
                ]
            },
        }
    ]


@pytest.mark.asyncio
async def test_clone_refuses_mappings(harness):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="destination_id"):
        await there.client.share_tokens.redeem("cnst_1", field_mappings={"a": "b"})
    assert there.requests == []


@pytest.mark.asyncio
async def test_invalid_id_is_refused(harness):
    with pytest.raises(InvalidIdError):
        await harness().client.share_tokens.redeem("cnst_1/expire")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("destination_id", "state"),
    [
        (None, token("pending", redeem_mode="clone")),
        (None, token("redeemed", redeem_mode="clone", destination="inq_9")),
        (None, token("failed", redeem_mode="clone", failure_reason="import_failed")),
        ("inq_2", token("pending", redeem_mode="hydrate")),
        ("inq_2", token("pending", redeem_mode="hydrate", destination="inq_2")),
        ("inq_2", token("redeemed", redeem_mode="hydrate", destination="inq_2")),
        ("inq_2", token("pending")),
    ],
)
async def test_f148_state_is_returned_when_it_matches_the_lost_response(
    harness, destination_id, state
):
    there = harness(LOST, state)

    found = await there.client.share_tokens.redeem(
        "cnst_1", destination_id=destination_id
    )

    assert found.id == "cnst_1"
    assert [each.method for each in there.requests] == ["POST", "GET"]


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["redeem", "expire"])
async def test_f148_state_is_read_with_the_options_of_the_call(harness, method):
    there = harness(
        ConflictError("no", attempts=(Attempt(Phase.AMBIGUOUS, "reset"),) * 2),
        token("redeemed" if method == "redeem" else "expired"),
    )
    tokens = there.client.share_tokens

    await getattr(tokens, method)(
        "cnst_1", timeout=5.0, retries=0, headers={"X-A": "b"}, repeatable=True
    )

    read = there.requests[-1]
    assert read.method == "GET"
    assert read.deadline == there.clock.now() + 5.0
    assert read.retries == 0
    assert read.headers["X-A"] == "b"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "state",
    [
        token("pending", redeem_mode="clone"),
        token("redeemed", redeem_mode="hydrate", destination="inq_of_somebody"),
    ],
)
async def test_f148_redemption_by_another_caller_raises(harness, state):
    there = harness(LOST, state)

    with pytest.raises(OutcomeUnknownError, match="a different way"):
        await there.client.share_tokens.redeem("cnst_1", destination_id="inq_2")


@pytest.mark.asyncio
async def test_f148_same_key_is_advised_when_nothing_happened(harness):
    there = harness(LOST, token("created"))

    with pytest.raises(OutcomeUnknownError, match="same idempotency_key") as caught:
        await there.client.share_tokens.redeem("cnst_1")

    assert caught.value.idempotency_key == "key-1"
    assert [each.method for each in there.requests] == ["POST", "GET"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "failure", [problem(404, "Record not found"), ConnectionLostError("lost")]
)
async def test_f148_outcome_is_unknown_when_the_state_cannot_be_read(harness, failure):
    there = harness(LOST, failure)

    with pytest.raises(OutcomeUnknownError):
        await there.client.share_tokens.redeem("cnst_1")


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [ConflictError, UnprocessableError])
async def test_f37_f38_f148_refusal_after_a_lost_attempt_is_settled(harness, kind):
    lost = Attempt(Phase.AMBIGUOUS, "reset")
    refusal = kind("no", attempts=(lost, Attempt(Phase.ANSWERED, "no")))
    there = harness(refusal, token("pending", redeem_mode="clone"))

    found = await there.client.share_tokens.redeem("cnst_1")

    assert found.status is ShareTokenStatus.PENDING


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "kind"), [(409, ConflictError), (422, UnprocessableError)]
)
async def test_f37_f38_refusal_of_the_first_attempt_is_raised(harness, status, kind):
    there = harness(problem(status))

    with pytest.raises(kind):
        await there.client.share_tokens.redeem("cnst_1")
    assert len(there.requests) == 1


# ── waiting ──────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_wait_returns_at_once_when_already_redeemed(harness):
    state = token(
        "redeemed",
        redeem_mode="clone",
        destination="inq_9",
        redeemed_at="2026-01-01T00:00:00.000Z",
    )
    there = harness(state)

    done = await there.client.share_tokens.wait("cnst_1", timeout=60)

    assert done.mode is RedeemMode.CLONE
    assert done.destination_id == "inq_9"
    assert done.redeemed_at.year == 2026
    assert there.clock.sleepers == 0


@pytest.mark.asyncio
async def test_wait_polls_through_all_states(harness):
    there = harness(token("created"), token("pending"), token("redeemed"))

    done = await until(
        there.clock, there.client.share_tokens.wait("cnst_1", timeout=60)
    )

    assert done.token.status is ShareTokenStatus.REDEEMED


@pytest.mark.asyncio
@pytest.mark.parametrize("reason", REASONS)
async def test_f147_failure_is_raised_with_its_reason(harness, reason):
    there = harness(token("pending"), token("failed", failure_reason=reason))

    with pytest.raises(RedemptionFailedError) as caught:
        await until(there.clock, there.client.share_tokens.wait("cnst_1", timeout=60))

    assert caught.value.reason == reason
    assert FailureReason(reason).known
    assert caught.value.share_token_id == "cnst_1"


@pytest.mark.asyncio
async def test_f55_unknown_failure_reason_is_raised(harness):
    there = harness(token("failed", failure_reason="brand_new"))

    with pytest.raises(RedemptionFailedError) as caught:
        await there.client.share_tokens.wait("cnst_1", timeout=60)

    assert caught.value.reason == "brand_new"


@pytest.mark.asyncio
async def test_wait_ends_when_the_share_token_expires(harness):
    with pytest.raises(ShareTokenExpiredError):
        await harness(token("expired")).client.share_tokens.wait("cnst_1", timeout=60)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", ["pending", "archived"])
async def test_f147_wait_times_out_when_never_decided(harness, status):
    there = harness(*[token(status)] * 40)
    started = there.clock.now()

    with pytest.raises(RedemptionPendingError) as caught:
        await until(there.clock, there.client.share_tokens.wait("cnst_1", timeout=100))

    assert caught.value.last_status == status
    assert isinstance(caught.value, TimeoutError)
    assert 100 <= there.clock.now() - started <= 102


@pytest.mark.asyncio
async def test_wait_says_when_the_redemption_has_not_begun(harness):
    there = harness(*[token("created")] * 40)

    with pytest.raises(RedemptionPendingError) as caught:
        await until(there.clock, there.client.share_tokens.wait("cnst_1", timeout=10))

    assert caught.value.last_status == "created"
    assert "call redeem()" in str(caught.value)
    assert "background" not in str(caught.value)


@pytest.mark.asyncio
async def test_f147_polls_are_spaced_by_1_to_30_seconds(harness):
    there = harness(*[token("pending")] * 40)

    with pytest.raises(RedemptionPendingError):
        await until(there.clock, there.client.share_tokens.wait("cnst_1", timeout=120))

    # 1, 2, 4, 8, 16, 30 and 30 seconds between them, and up to a quarter more.
    assert 6 <= len(there.requests) <= 8


@pytest.mark.asyncio
async def test_f147_wait_ends_when_the_share_token_is_not_found(harness):
    there = harness(token("pending"), problem(404, "Record not found"))

    with pytest.raises(NotFoundError):
        await until(there.clock, there.client.share_tokens.wait("cnst_1", timeout=60))


@pytest.mark.asyncio
async def test_wait_continues_after_a_lost_connection(harness):
    there = harness(
        ConnectionLostError("lost"), problem(503, "Busy"), token("redeemed")
    )

    done = await until(
        there.clock, there.client.share_tokens.wait("cnst_1", timeout=60)
    )

    assert done.token.status is ShareTokenStatus.REDEEMED


@pytest.mark.asyncio
async def test_wait_ends_at_a_refusal(harness):
    there = harness(problem(403, "Forbidden"))

    with pytest.raises(PermissionDeniedError):
        await there.client.share_tokens.wait("cnst_1", timeout=60)


@pytest.mark.asyncio
async def test_wait_raises_the_last_error_when_no_poll_succeeded(harness):
    there = harness(*[ConnectionLostError("lost")] * 10)

    with pytest.raises(ConnectionLostError):
        await until(there.clock, there.client.share_tokens.wait("cnst_1", timeout=3))


@pytest.mark.asyncio
@pytest.mark.parametrize("seconds", [0, -1, True, timedelta(0), "9", None])
async def test_wait_refuses_a_timeout_of_zero(harness, seconds):
    with pytest.raises(InvalidArgumentError):
        await harness().client.share_tokens.wait("cnst_1", timeout=seconds)


@pytest.mark.asyncio
async def test_wait_accepts_a_timedelta(harness):
    there = harness(token("redeemed"))

    done = await there.client.share_tokens.wait("cnst_1", timeout=timedelta(minutes=1))

    assert done.token.id == "cnst_1"
