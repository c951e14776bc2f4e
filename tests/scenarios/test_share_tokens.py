"""Share tokens from creation to redemption."""

from datetime import timedelta

import pytest

from persona_share.errors import (
    ConflictError,
    NotFoundError,
    RedemptionFailedError,
    RedemptionPendingError,
    ShareTokenExpiredError,
)
from persona_share.model.share_token import (
    Direction,
    FailureReason,
    RedeemMode,
    ShareTokenStatus,
)
from tests.scenarios.sharing import REDEEM, RETRIEVE, connected, offered, waited


@pytest.mark.asyncio
async def test_inquiry_is_cloned_with_its_verifications(scenario):
    (inquiry_id,) = scenario.sandbox.populate(1)
    original = await scenario.source.inquiries.retrieve(inquiry_id)
    token = await offered(scenario, inquiry_id, expires_in=timedelta(hours=1))

    redeeming = await scenario.destination.share_tokens.redeem(token.id)
    done = await waited(scenario, token)
    clone = await scenario.destination.inquiries.retrieve(
        done.destination_id, include=["verifications"]
    )
    ours = await scenario.source.share_tokens.retrieve(token.id)

    assert redeeming.status is ShareTokenStatus.PENDING
    assert redeeming.destination_id is None
    assert (done.mode, ours.redeem_mode) == (RedeemMode.CLONE, RedeemMode.CLONE)
    assert done.redeemed_at == ours.redeemed_at
    assert clone.id != inquiry_id
    assert clone.values == original.values
    assert [each.type for each in clone.related("verifications")] == [
        "verification/government-id",
        "verification/selfie",
    ]
    assert token.expires_at - token.created_at == timedelta(hours=1)


@pytest.mark.asyncio
async def test_existing_inquiry_is_hydrated_with_mapped_fields(scenario):
    account = scenario.sandbox.add_account(fields={"membership": "gold"})
    template = scenario.sandbox.add_inquiry_template(
        organization=scenario.sandbox.destination, fields={"level": "text"}
    )
    target = await scenario.destination.inquiries.create(
        inquiry_template_id=template.id, fields={"level": "none"}
    )
    token = await offered(scenario, account.id)

    redeeming = await scenario.destination.share_tokens.redeem(
        token.id, destination_id=target.id, field_mappings={"membership": "level"}
    )
    done = await waited(scenario, token)
    filled = await scenario.destination.inquiries.retrieve(target.id)

    assert redeeming.redeem_mode is RedeemMode.HYDRATE
    assert redeeming.destination_id == done.destination_id == target.id
    assert filled.values["level"] == "gold"
    assert filled.status == "completed"


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["account", "transaction"])
async def test_object_hydrates_another_object_of_its_kind(scenario, kind):
    add = getattr(scenario.sandbox, f"add_{kind}")
    source = add(fields={"country": "FR"})
    target = add(organization=scenario.sandbox.destination, fields={"country": "DE"})
    token = await offered(scenario, source.id)

    await scenario.destination.share_tokens.redeem(token.id, destination_id=target.id)
    done = await waited(scenario, token)
    plural = getattr(scenario.destination, f"{kind}s")
    filled = await plural.retrieve(target.id)

    assert done.token.destination.id == target.id
    assert filled.values["country"] == "FR"


@pytest.mark.asyncio
async def test_verification_is_cloned(scenario):
    token = await offered(scenario, scenario.sandbox.add_verification(kind="selfie").id)

    await scenario.destination.share_tokens.redeem(token.id)
    done = await waited(scenario, token)
    clone = await scenario.destination.verifications.retrieve_selfie(
        done.destination_id
    )

    assert clone.type == "verification/selfie"


@pytest.mark.asyncio
@pytest.mark.parametrize("reason", [each.value for each in FailureReason])
async def test_f147_redemption_that_fails_is_raised_with_its_reason(scenario, reason):
    scenario.sandbox.faults.fail_redemption(reason)
    token = await offered(scenario)
    await scenario.destination.share_tokens.redeem(token.id)

    with pytest.raises(RedemptionFailedError) as caught:
        await waited(scenario, token)

    assert (caught.value.reason, caught.value.share_token_id) == (reason, token.id)
    assert scenario.sandbox.log.count(REDEEM) == 1


@pytest.mark.asyncio
async def test_f147_redemption_fails_when_the_source_is_redacted(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    token = await offered(scenario, inquiry.id)
    await scenario.destination.share_tokens.redeem(token.id)
    await scenario.source.inquiries.redact(inquiry.id)

    with pytest.raises(RedemptionFailedError) as caught:
        await waited(scenario, token)

    assert caught.value.reason == "source_redacted"


@pytest.mark.asyncio
async def test_f147_wait_polls_slowly_when_a_redemption_stays_pending(scenario):
    scenario.sandbox.switches.redemption_seconds = float("inf")
    token = await offered(scenario)
    await scenario.destination.share_tokens.redeem(token.id)

    with pytest.raises(RedemptionPendingError) as caught:
        await waited(scenario, token, seconds=300, step=10)

    assert caught.value.last_status == "pending"
    # 1, 2, 4, 8, 16 and then 30 s apart, with a little jitter: a dozen in 300 s.
    assert 10 <= scenario.sandbox.log.count(RETRIEVE) <= 16
    assert scenario.sandbox.log.count(REDEEM) == 1


@pytest.mark.asyncio
async def test_f147_missing_share_token_raises_at_once(scenario):
    with pytest.raises(NotFoundError):
        await scenario.destination.share_tokens.wait("cnst_nowhere", timeout=300)

    assert scenario.sandbox.log.count(RETRIEVE) == 1


@pytest.mark.asyncio
async def test_waiting_call_raises_when_either_side_expires_a_share_token(scenario):
    ended = await offered(scenario)
    await scenario.source.share_tokens.expire(ended.id)
    late = await offered(scenario, expires_in=timedelta(seconds=60))
    scenario.clock.advance(61)

    for token in (ended, late):
        with pytest.raises(ShareTokenExpiredError):
            await waited(scenario, token)
        with pytest.raises(ConflictError):
            await scenario.destination.share_tokens.redeem(token.id)


@pytest.mark.asyncio
async def test_each_side_lists_created_and_received_share_tokens(scenario):
    connection = await connected(scenario)
    made = [
        await scenario.source.share_tokens.create(
            connection_id=connection.id, source_id=scenario.sandbox.add_inquiry().id
        )
        for _ in range(3)
    ]
    await scenario.destination.share_tokens.redeem(made[0].id)

    inbound = scenario.destination.share_tokens.list(
        connection_id=connection.id, direction=Direction.INBOUND, page_size=2
    )
    pending = scenario.source.share_tokens.list(status=ShareTokenStatus.PENDING)
    wrong_way = await scenario.source.share_tokens.list(direction=Direction.INBOUND)

    assert [each.id async for each in inbound] == [each.id for each in made[::-1]]
    assert [each.id async for each in pending] == [made[0].id]
    assert len(wrong_way) == 0


@pytest.mark.asyncio
async def test_destination_peeks_before_it_redeems(scenario):
    (inquiry_id,) = scenario.sandbox.populate(1)
    token = await offered(scenario, inquiry_id)

    peeked = await scenario.destination.share_tokens.retrieve(
        token.id, peek_source_data=True
    )
    unasked = await scenario.destination.share_tokens.retrieve(token.id)

    assert peeked.source_data.id == inquiry_id
    assert peeked.source_data.attributes["status"].value == "completed"
    assert peeked.source_data.fields["birthdate"].value is True
    assert unasked.source_data is None


@pytest.mark.asyncio
@pytest.mark.parametrize("shape", ["current", "open_beta", "closed_beta"])
async def test_share_token_of_every_format_is_read_and_redeemed(scenario, shape):
    inquiry = scenario.sandbox.add_inquiry()
    made = await offered(scenario, inquiry.id)
    scenario.sandbox.switches.share_shape = shape

    token = await scenario.source.share_tokens.retrieve(made.id)
    await scenario.destination.share_tokens.redeem(token.id)
    done = await waited(scenario, token)

    assert token.status is ShareTokenStatus.CREATED
    assert token.source_id == inquiry.id
    assert done.token.status is ShareTokenStatus.REDEEMED
    if shape != "closed_beta":  # which had no connection in its responses
        assert token.connection_id == made.connection_id
