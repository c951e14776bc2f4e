"""What a batch counts of its calls."""

import pytest

from persona_share._protocol.http import Request, Response
from persona_share.batch.tally import Measured, Tally
from persona_share.errors import Attempt, ConnectionLostError, Phase
from persona_share.testing import FakeClock, ScriptedSender


CALL = Request(method="GET", route="/x", target="/x", deadline=1e9)
TRIED = Attempt(Phase.ANSWERED, "503", 503)


def answered(clock, *, waits=0.0, takes=0.0, attempts=()):
    def answer(_request):
        clock.advance(waits)
        sent = clock.now()
        clock.advance(takes)
        return Response(status=200, first_sent_at=sent, attempts=attempts)

    return answer


@pytest.fixture
def clock():
    return FakeClock()


async def measured(clock, *answers):
    tally = Tally()
    sender = Measured(ScriptedSender(answers), tally, clock.now)
    for _ in answers:
        await sender.send(CALL)
    return tally


@pytest.mark.asyncio
async def test_a_call_that_was_held_back_a_second_is_a_wait(clock):
    waits = [answered(clock, waits=seconds) for seconds in (0.0, 0.9, 1.0, 58.0)]
    tally = await measured(clock, *waits)

    assert tally.waits == 2
    assert tally.waited == pytest.approx(59.0)


@pytest.mark.asyncio
async def test_attempts_beyond_the_first_are_retries(clock):
    tally = await measured(
        clock,
        answered(clock),
        answered(clock, attempts=(TRIED,)),
        answered(clock, attempts=(TRIED, TRIED, TRIED)),
    )

    assert tally.retries == 2


@pytest.mark.asyncio
async def test_the_attempts_of_a_call_that_failed_count_as_well(clock):
    error = ConnectionLostError("the connection broke", attempts=(TRIED, TRIED, TRIED))
    tally = Tally()
    with pytest.raises(ConnectionLostError):
        await Measured(ScriptedSender([error]), tally, clock.now).send(CALL)

    assert tally.retries == 2
    assert tally.quantile(0.5) is None


@pytest.mark.asyncio
async def test_quantiles_are_right_to_a_twentieth(clock):
    takes = [answered(clock, takes=number / 100) for number in range(1, 101)]
    tally = await measured(clock, *takes)

    assert tally.quantile(0.50) == pytest.approx(0.50, rel=0.05)
    assert tally.quantile(0.95) == pytest.approx(0.95, rel=0.05)


def test_any_number_of_calls_takes_the_same_room():
    tally = Tally()
    for number in range(100_000):
        tally.sent(0.0, number / 1_000)

    assert len(tally._classes) < 500
