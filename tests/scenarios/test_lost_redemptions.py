"""F148: the response to a redemption is lost, and the state of the share token decides.

It is never redeemed a second time: one event on each side is the proof.
"""

import pytest

from persona_share.errors import OutcomeUnknownError
from persona_share.model.share_token import ShareTokenStatus
from tests.scenarios.sharing import REDEEM, RETRIEVE, offered, redemptions, waited


@pytest.mark.asyncio
@pytest.mark.parametrize("times", [1, 2, None])
async def test_f148_share_token_is_redeemed_once_when_responses_are_lost(
    scenario, times
):
    token = await offered(scenario)
    scenario.sandbox.faults.lose_answer(REDEEM, times=times)

    redeeming = await scenario.advance_until_done(
        scenario.destination.share_tokens.redeem(token.id)
    )
    done = await waited(scenario, token)

    assert redeeming.status in {ShareTokenStatus.PENDING, ShareTokenStatus.REDEEMED}
    assert done.destination_id is not None
    assert await redemptions(scenario, token) == 1
    keys = {each.idempotency_key for each in scenario.sandbox.log.find(REDEEM)}
    assert len(keys) == 1


@pytest.mark.asyncio
async def test_f148_lost_redemption_is_compared_with_its_destination(scenario):
    target = scenario.sandbox.add_inquiry(organization=scenario.sandbox.destination)
    token = await offered(scenario)
    scenario.sandbox.faults.lose_answer(REDEEM, times=None)

    redeeming = await scenario.advance_until_done(
        scenario.destination.share_tokens.redeem(token.id, destination_id=target.id)
    )

    assert redeeming.destination_id == target.id
    assert scenario.sandbox.log.count(RETRIEVE) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [409, 422])
async def test_f148_refusal_of_a_repeated_redemption_is_checked_by_its_state(
    scenario, status
):
    scenario.sandbox.switches.share_conflict_status = status
    scenario.sandbox.switches.key_retention = 0.0
    token = await offered(scenario)
    scenario.sandbox.faults.lose_answer(REDEEM, times=1)

    redeeming = await scenario.advance_until_done(
        scenario.destination.share_tokens.redeem(token.id)
    )

    assert redeeming.status is ShareTokenStatus.PENDING
    assert scenario.sandbox.log.count(REDEEM, status=status) == 1


@pytest.mark.asyncio
async def test_f148_error_advises_the_same_key_when_nothing_was_redeemed(scenario):
    token = await offered(scenario)
    scenario.sandbox.faults.answer(REDEEM, 500, times=None)

    with pytest.raises(OutcomeUnknownError) as caught:
        await scenario.advance_until_done(
            scenario.destination.share_tokens.redeem(token.id)
        )
    scenario.sandbox.faults.clear()
    key = caught.value.idempotency_key
    await scenario.destination.share_tokens.redeem(token.id, idempotency_key=key)
    await waited(scenario, token)

    assert "same idempotency_key" in caught.value.advice
    assert await redemptions(scenario, token) == 1
    assert (
        len({each.idempotency_key for each in scenario.sandbox.log.find(REDEEM)}) == 1
    )
