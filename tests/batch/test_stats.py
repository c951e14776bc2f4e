"""Statistics of a batch."""

import pytest

from persona_share._protocol.http import Request, Response
from persona_share.batch.workers import BatchStats, Measured
from persona_share.errors import Attempt, ConnectionLostError, Phase
from persona_share.testing import FakeClock, ScriptedSender


CALL = Request(method="GET", route="/x", target="/x", deadline=1e9)
TRIED = Attempt(Phase.ANSWERED, "503", 503)


def measured_call(clock, *, waits=0.0, takes=0.0, attempts=()):
    def respond(_request):
        clock.advance(waits)
        sent = clock.now()
        clock.advance(takes)
        return Response(status=200, first_sent_at=sent, attempts=attempts)

    return respond


@pytest.fixture
def clock():
    return FakeClock()


async def measured(clock, *responses):
    stats = BatchStats()
    sender = Measured(ScriptedSender(responses), stats, clock.now)
    for _ in responses:
        await sender.send(CALL)
    return stats


@pytest.mark.asyncio
async def test_call_delayed_by_a_second_counts_as_a_wait(clock):
    waits = [measured_call(clock, waits=seconds) for seconds in (0.0, 0.9, 1.0, 58.0)]
    stats = await measured(clock, *waits)

    assert stats.waits == 2
    assert stats.waited == pytest.approx(59.0)


@pytest.mark.asyncio
async def test_attempts_beyond_the_first_are_retries(clock):
    stats = await measured(
        clock,
        measured_call(clock),
        measured_call(clock, attempts=(TRIED,)),
        measured_call(clock, attempts=(TRIED, TRIED, TRIED)),
    )

    assert stats.retries == 2


@pytest.mark.asyncio
async def test_attempts_of_a_call_that_failed_count_as_well(clock):
    error = ConnectionLostError("the connection broke", attempts=(TRIED, TRIED, TRIED))
    stats = BatchStats()
    with pytest.raises(ConnectionLostError):
        await Measured(ScriptedSender([error]), stats, clock.now).send(CALL)

    assert stats.retries == 2
    assert stats.quantile(0.5) is None


@pytest.mark.asyncio
async def test_quantiles_are_accurate_to_five_percent(clock):
    takes = [measured_call(clock, takes=number / 100) for number in range(1, 101)]
    stats = await measured(clock, *takes)

    assert stats.quantile(0.50) == pytest.approx(0.50, rel=0.05)
    assert stats.quantile(0.95) == pytest.approx(0.95, rel=0.05)


def test_stats_use_constant_memory():
    stats = BatchStats()
    for number in range(100_000):
        stats.sent(0.0, number / 1_000)

    assert len(stats._buckets) < 500
