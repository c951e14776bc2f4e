"""The clock that goes on by itself and can be moved."""

import asyncio

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share._transport.runtime import default_clock, default_runtime
from persona_share.testing import MovingClock, moving_clock
from persona_share.webhooks import Verifier, sign
from tests.turns import turns


def test_every_reading_moves_by_as_much():
    clock = MovingClock()
    before = clock.now(), clock.wall(), clock.epoch()
    clock.advance(3_600)
    assert clock.now() - before[0] == pytest.approx(3_600, abs=1)
    assert (clock.wall() - before[1]).total_seconds() == pytest.approx(3_600, abs=1)
    assert clock.epoch() - before[2] == pytest.approx(3_600, abs=1)


def test_it_never_runs_backwards():
    with pytest.raises(ValueError, match="backwards"):
        MovingClock().advance(-1)


@pytest.mark.asyncio
async def test_who_sleeps_wakes_when_it_was_moved_that_far():
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
async def test_who_sleeps_wakes_by_itself():
    async with asyncio.timeout(5):
        await MovingClock().sleep(0.01)
        await MovingClock().sleep(0)


@pytest.mark.asyncio
async def test_who_is_cancelled_leaves_nothing_behind():
    clock = MovingClock()
    sleeper = asyncio.create_task(clock.sleep(3_600))
    await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    clock.advance(3_600)


def test_whoever_follows_it_is_called_after_each_move():
    clock, seen = MovingClock(), []
    with clock.followed_by(lambda: seen.append(clock.epoch())):
        clock.advance(60)
    clock.advance(60)
    assert len(seen) == 1


def test_what_is_made_meanwhile_goes_by_it_and_nothing_else_does():
    before = PersonaClient("key")
    with moving_clock() as clock:
        meanwhile = PersonaClient("key")
        assert default_clock() is clock
    after = PersonaClient("key")
    assert meanwhile.context.runtime.clock is clock
    assert before.context.runtime.clock is not clock
    assert after.context.runtime.clock is not clock
    assert default_runtime().clock is not clock


def test_a_verifier_goes_by_it_too():
    with moving_clock() as clock:
        clock.advance(86_400)
        signature = sign(b"x", "a secret", at=clock.wall())
        assert Verifier("a secret").check(b"x", signature).secret == 0


class HangingSender:
    """A sender whose requests end when the test says so."""

    def __init__(self):
        self.answered = asyncio.Event()

    async def send(self, request):
        await self.answered.wait()
        return request


@pytest.fixture
def clock():
    return MovingClock()


@pytest.fixture
def hanging(clock):
    return HangingSender()


@pytest.mark.asyncio
async def test_a_move_waits_when_a_request_is_under_way(clock, hanging):
    start = clock.now()
    sending = asyncio.create_task(clock.runtime().wrap_transport(hanging).send("it"))
    await turns()
    clock.advance(60)
    clock.advance(60)
    assert clock.now() < start + 60

    hanging.answered.set()
    await clock.settle()
    assert sending.done()
    assert 120 <= clock.now() - start < 180


@pytest.mark.asyncio
async def test_the_next_move_makes_up_for_one_that_waited(clock, hanging):
    start = clock.now()
    sending = asyncio.create_task(clock.runtime().wrap_transport(hanging).send("it"))
    await turns()
    clock.advance(60)
    hanging.answered.set()
    await sending
    clock.advance(60)
    assert clock.now() >= start + 120


@pytest.mark.asyncio
async def test_an_interrupting_move_is_made_at_once(clock, hanging):
    start = clock.now()
    sending = asyncio.create_task(clock.runtime().wrap_transport(hanging).send("it"))
    await turns()
    clock.advance(60, interrupt=True)
    assert clock.now() >= start + 60
    sending.cancel()
    await asyncio.wait({sending})


@pytest.mark.asyncio
async def test_no_refresh_fails_when_each_jump_waits_for_the_last_one(
    persona_sandbox, persona_clock
):
    box = persona_sandbox
    inquiry = box.add_inquiry()
    options = {"base_url": box.url, "insecure_local": True}
    async with PersonaClient(box.source.api_key, **options) as source:

        async def ask_partner(scope):
            return await source.oauth.authorize(
                client_id=box.destination.id, scope=scope
            )

        async with (
            PersonaClient(box.destination.api_key, **options) as client,
            ScopedTokenManager(client, codes=ask_partner) as manager,
        ):
            session = manager.session(Scope.read(inquiry.id))
            for _ in range(24 * 12):
                await session.inquiries.retrieve(inquiry.id)
                await persona_clock.settle()
                persona_clock.advance(300)
    assert box.log.count(status=401) == 0
    assert box.log.codes_redeemed == box.log.tokens_issued == box.log.codes_issued
