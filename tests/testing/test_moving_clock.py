"""The clock that goes on by itself and can be moved."""

import asyncio

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share._transport.runtime import default_clock, default_runtime
from persona_share.testing import MovingClock, moving_clock
from persona_share.webhooks import Verifier, sign
from tests.event_loop import run_iterations


def test_advance_moves_every_reading_equally():
    clock = MovingClock()
    before = clock.now(), clock.wall(), clock.epoch()
    clock.advance(3_600)
    assert clock.now() - before[0] == pytest.approx(3_600, abs=1)
    assert (clock.wall() - before[1]).total_seconds() == pytest.approx(3_600, abs=1)
    assert clock.epoch() - before[2] == pytest.approx(3_600, abs=1)


def test_moving_clock_never_runs_backwards():
    with pytest.raises(ValueError, match="must not be negative"):
        MovingClock().advance(-1)


@pytest.mark.asyncio
async def test_sleeper_wakes_when_the_clock_is_advanced_far_enough():
    clock = MovingClock()
    sleeper = asyncio.create_task(clock.sleep(3_600))
    await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
    clock.advance(1_800)
    await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
    assert not sleeper.done()
    clock.advance(1_800)
    async with asyncio.timeout(5):
        await sleeper


@pytest.mark.asyncio
async def test_sleeper_wakes_in_real_time():
    async with asyncio.timeout(5):
        await MovingClock().sleep(0.01)
        await MovingClock().sleep(0)


@pytest.mark.asyncio
async def test_cancelled_sleeper_leaves_nothing_behind():
    clock = MovingClock()
    sleeper = asyncio.create_task(clock.sleep(3_600))
    await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    clock.advance(3_600)


def test_follower_is_called_after_each_advance():
    clock, seen = MovingClock(), []
    with clock.followed_by(lambda: seen.append(clock.epoch())):
        clock.advance(60)
    clock.advance(60)
    assert len(seen) == 1


def test_only_objects_created_during_the_test_use_the_clock():
    before = PersonaClient("key")
    with moving_clock() as clock:
        meanwhile = PersonaClient("key")
        assert default_clock() is clock
    after = PersonaClient("key")
    assert meanwhile.context.runtime.clock is clock
    assert before.context.runtime.clock is not clock
    assert after.context.runtime.clock is not clock
    assert default_runtime().clock is not clock


def test_verifier_uses_the_moving_clock():
    with moving_clock() as clock:
        clock.advance(86_400)
        signature = sign(b"x", "a secret", at=clock.wall())
        assert Verifier("a secret").check(b"x", signature).secret == 0


class HangingSender:
    """A sender whose requests end when the test says so."""

    def __init__(self):
        self.responded = asyncio.Event()

    async def send(self, request):
        await self.responded.wait()
        return request


@pytest.fixture
def clock():
    return MovingClock()


@pytest.fixture
def hanging(clock):
    return HangingSender()


@pytest.mark.asyncio
async def test_advance_waits_for_requests_in_flight(clock, hanging):
    start = clock.now()
    sending = asyncio.create_task(clock.runtime().wrap_transport(hanging).send("it"))
    await run_iterations()
    clock.advance(60)
    clock.advance(60)
    assert clock.now() < start + 60

    hanging.responded.set()
    await clock.settle()
    assert sending.done()
    assert 120 <= clock.now() - start < 180


@pytest.mark.asyncio
async def test_next_advance_includes_one_that_waited(clock, hanging):
    start = clock.now()
    sending = asyncio.create_task(clock.runtime().wrap_transport(hanging).send("it"))
    await run_iterations()
    clock.advance(60)
    hanging.responded.set()
    await sending
    clock.advance(60)
    assert clock.now() >= start + 120


@pytest.mark.asyncio
async def test_interrupting_advance_does_not_wait(clock, hanging):
    start = clock.now()
    sending = asyncio.create_task(clock.runtime().wrap_transport(hanging).send("it"))
    await run_iterations()
    clock.advance(60, interrupt=True)
    assert clock.now() >= start + 60
    sending.cancel()
    await asyncio.wait({sending})


@pytest.mark.asyncio
async def test_no_refresh_fails_when_each_jump_waits_for_the_last_one(
    persona_sandbox, persona_clock
):
    sandbox = persona_sandbox
    inquiry = sandbox.add_inquiry()
    options = {"base_url": sandbox.url, "insecure_local": True}
    async with PersonaClient(sandbox.source.api_key, **options) as source:

        async def ask_partner(scope):
            return await source.oauth.authorize(
                client_id=sandbox.destination.id, scope=scope
            )

        async with (
            PersonaClient(sandbox.destination.api_key, **options) as client,
            ScopedTokenManager(client, codes=ask_partner) as manager,
        ):
            session = manager.session(Scope.read(inquiry.id))
            for _ in range(24 * 12):
                await session.inquiries.retrieve(inquiry.id)
                await persona_clock.settle()
                persona_clock.advance(300)
    assert sandbox.log.count(status=401) == 0
    assert (
        sandbox.log.codes_redeemed
        == sandbox.log.tokens_issued
        == sandbox.log.codes_issued
    )
