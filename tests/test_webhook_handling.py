"""A delivery is handled once: claimed before, confirmed after, released on failure."""

import asyncio
from datetime import date, timedelta

import orjson
import pytest

from persona_share.errors import (
    ConfigurationError,
    DeliveryInProgressError,
    InvalidArgumentError,
    SignatureError,
    StoreUnavailableError,
)
from persona_share.stores.memory import MemoryStore
from persona_share.stores.redis import RedisStore
from persona_share.stores.sqlite import SQLiteStore
from persona_share.testing.clock import FakeClock, fake_runtime
from persona_share.webhooks import ReplayGuard, Verifier, recover, sign
from tests.redis_server import one_redis, own_redis, redis_server
from tests.resources.conftest import harness, item, make_response, one


__all__ = ["harness", "one_redis", "own_redis", "redis_server"]

SECRET = "wbhsec_one"


def body_of(event_id="evt_1"):
    attributes = {"name": "inquiry.approved", "payload": {}, "context": {}}
    return orjson.dumps(
        {"data": {"type": "event", "id": event_id, "attributes": attributes}}
    )


class DownStore(MemoryStore):
    """A store that can be taken down."""

    down = False

    async def read(self, key):
        if self.down:
            raise StoreUnavailableError("down")
        return await super().read(key)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def runtime(clock):
    return fake_runtime(clock)


@pytest.fixture
def store(runtime):
    return DownStore(runtime=runtime)


@pytest.fixture
def guard(store, runtime):
    return ReplayGuard(store, runtime=runtime)


@pytest.fixture
def deliver(clock):
    """Return a function that delivers an event and says whether it is new."""
    verifier = Verifier(SECRET, clock=clock)

    async def deliver(guard, handle=None, event_id="evt_1"):
        body = body_of(event_id)
        header = sign(body, SECRET, at=clock.wall())
        async with verifier.handling(body, header, guard) as delivery:
            if delivery.is_new is not False and handle is not None:
                await handle()
        return delivery.is_new

    return deliver


async def run_iterations(number=20):
    for _ in range(number):
        await FakeClock().sleep(0)


async def hang():
    await asyncio.get_running_loop().create_future()


async def fail():
    raise ZeroDivisionError


@pytest.mark.asyncio
async def test_f144_handled_event_is_not_new_when_it_is_repeated(deliver, guard):
    assert [await deliver(guard) for _ in range(3)] == [True, False, False]


@pytest.mark.asyncio
async def test_event_is_new_again_when_its_handler_raises(deliver, guard):
    with pytest.raises(ZeroDivisionError):
        await deliver(guard, fail)

    assert await deliver(guard) is True


@pytest.mark.asyncio
async def test_event_is_new_again_when_its_handler_is_cancelled(deliver, guard):
    handling = asyncio.ensure_future(deliver(guard, hang))
    await run_iterations()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling

    assert await deliver(guard) is True


@pytest.mark.asyncio
async def test_event_is_never_lost_when_a_delivery_is_cancelled_at_any_await(
    deliver, guard
):
    outcomes = set()
    for count in range(60):
        event_id, handled = f"evt_{count}", []

        async def handle(handled=handled):
            await run_iterations()
            handled.append(True)

        handling = asyncio.ensure_future(deliver(guard, handle, event_id))
        await run_iterations(count)
        handling.cancel()
        await asyncio.gather(handling, return_exceptions=True)
        await run_iterations()
        again = await deliver(guard, event_id=event_id)
        outcomes.add((bool(handled), again))

    assert outcomes == {(False, True), (True, False)}


@pytest.mark.asyncio
async def test_repeated_event_is_in_progress_while_it_is_handled(deliver, guard):
    done = asyncio.Event()
    handling = asyncio.ensure_future(deliver(guard, done.wait))
    await run_iterations()
    with pytest.raises(DeliveryInProgressError) as caught:
        await deliver(guard)
    done.set()
    await handling

    assert 0 < caught.value.retry_after <= 30
    assert await deliver(guard) is False


@pytest.mark.asyncio
async def test_repeated_event_is_new_after_the_lease_of_a_dead_process(
    deliver, store, clock, runtime
):
    handling = asyncio.ensure_future(
        deliver(ReplayGuard(store, runtime=fake_runtime(FakeClock())), hang)
    )
    await run_iterations()
    living = ReplayGuard(store, runtime=runtime)
    with pytest.raises(DeliveryInProgressError):
        await deliver(living)
    clock.advance(31)  # the clock of the other process has stopped

    assert await deliver(living) is True
    handling.cancel()
    await asyncio.gather(handling, return_exceptions=True)
    assert await deliver(living) is False


@pytest.mark.asyncio
async def test_claim_is_extended_while_a_slow_handler_runs(deliver, guard, clock):
    done = asyncio.Event()
    handling = asyncio.ensure_future(deliver(guard, done.wait))
    for _ in range(20):
        await run_iterations()
        clock.advance(9)
    await run_iterations()
    with pytest.raises(DeliveryInProgressError):
        await deliver(guard)
    done.set()

    assert await handling is True


@pytest.mark.asyncio
async def test_event_is_forgotten_after_three_days(deliver, guard, clock):
    await deliver(guard)
    clock.advance(3 * 86_400 - 1)
    before = await deliver(guard)
    clock.advance(2)

    assert (before, await deliver(guard)) == (False, True)


@pytest.mark.asyncio
async def test_delivery_is_refused_by_default_when_the_store_is_down(
    deliver, guard, store
):
    store.down = True
    with pytest.raises(StoreUnavailableError):
        await deliver(guard)
    store.down = False

    assert await deliver(guard) is True


@pytest.mark.asyncio
async def test_event_may_be_handled_twice_when_the_store_is_down_and_the_application_allows_it(
    deliver, store, runtime, caplog
):
    guard = ReplayGuard(store, runtime=runtime, on_store_failure="handle")
    store.down = True
    handled = []

    async def handle():
        handled.append(True)

    assert await deliver(guard, handle) is None
    assert handled == [True]
    assert "may have been handled before" in caplog.text


@pytest.mark.asyncio
async def test_handled_event_succeeds_when_the_store_goes_down(
    deliver, guard, store, caplog
):
    async def handle():
        store.down = True

    assert await deliver(guard, handle) is True
    assert "could not be confirmed or released" in caplog.text


@pytest.mark.asyncio
async def test_is_new_is_none_without_a_guard(deliver):
    assert await deliver(None) is None


@pytest.mark.asyncio
async def test_forged_event_is_not_remembered_and_its_reason_is_logged(
    guard, clock, store, caplog
):
    verifier = Verifier(SECRET, clock=clock)
    with pytest.raises(SignatureError):
        async with verifier.handling(body_of(), "t=1,v1=" + "0" * 64, guard):
            raise AssertionError

    assert [key async for key in store.keys("")] == []
    assert "a webhook was refused: mismatch" in caplog.text


@pytest.mark.asyncio
async def test_guard_of_the_verifier_is_used_if_no_other_is_given(guard, clock):
    verifier = Verifier(SECRET, guard=guard, clock=clock)
    header = sign(body_of(), SECRET, at=clock.wall())
    found = []
    for _ in range(2):
        async with verifier.handling(body_of(), header) as delivery:
            found.append(delivery.is_new)

    assert found == [True, False]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.asyncio
async def test_f144_one_of_many_simultaneous_deliveries_is_handled(
    tmp_path, request, deliver, kind
):
    if kind == "sqlite":
        stores = [SQLiteStore(tmp_path / "events.db") for _ in range(2)]
    else:
        url = request.getfixturevalue("redis_server").url
        stores = [RedisStore(url) for _ in range(2)]
    guards = [ReplayGuard(each) for each in stores]
    results = await asyncio.gather(
        *(deliver(guards[number % 2], run_iterations) for number in range(6)),
        return_exceptions=True,
    )
    after = await deliver(guards[0])
    for each in stores:
        await each.aclose()

    assert results.count(True) == 1
    assert all(
        each in {True, False} or isinstance(each, DeliveryInProgressError)
        for each in results
    )
    assert after is False
    if kind == "sqlite":  # which holds hashes only
        assert b"evt_1" not in (tmp_path / "events.db").read_bytes()


@pytest.mark.asyncio
async def test_guard_works_with_a_user_without_channels(own_redis, deliver):
    server = own_redis()
    server.client.acl_setuser(
        "app",
        enabled=True,
        passwords=["+pw"],
        keys=["persona_share:*"],
        categories=["+@all", "-@admin"],
    )
    store = RedisStore(server.url.replace("//", "//app:pw@"))
    guard = ReplayGuard(store)
    with pytest.raises(ZeroDivisionError):
        await deliver(guard, fail)
    found = [await deliver(guard) for _ in range(2)]
    await store.aclose()

    assert found == [True, False]


@pytest.mark.parametrize(
    "options",
    [
        {"lease": 0},
        {"lease": 601},
        {"lease": True},
        {"lease": "30"},
        {"remember": 3600},
        {"on_store_failure": "ignore"},
    ],
    ids=repr,
)
def test_invalid_guard_is_refused(options):
    with pytest.raises(ConfigurationError):
        ReplayGuard(MemoryStore(), **options)


def test_value_that_is_not_a_store_is_refused():
    with pytest.raises(ConfigurationError, match="a store is needed"):
        ReplayGuard("redis://localhost")


def test_store_instead_of_a_guard_is_refused_at_once():
    with pytest.raises(ConfigurationError, match=r"ReplayGuard\(store\)"):
        Verifier(SECRET, guard=MemoryStore())


def test_no_frame_of_a_refusal_shows_a_secret():
    with pytest.raises(ConfigurationError) as caught:
        Verifier(["CANARY", "CANARY\n"])
    frames = [each.frame for each in caught.traceback if each.name == "__init__"]

    assert frames
    assert "CANARY" not in "".join(repr(each.f_locals) for each in frames)


@pytest.mark.parametrize("secret", ["wbhsec_one\n", " wbhsec_one", "wbhsec\none"])
def test_secret_with_a_line_break_or_a_space_is_refused_at_once(secret):
    with pytest.raises(ConfigurationError, match="strip\\(\\)"):
        Verifier(secret)


# ── Recovery ─────────────────────────────────────────────────────────────────


def missed(number, created):
    attributes = {"event_id": f"evt_{number}", "created_at": created}
    found = item("webhook-event", f"whe_{number}", **attributes)
    return make_response({"data": [found]})


@pytest.mark.asyncio
async def test_recover_handles_the_oldest_event_first_of_all_statuses(harness, guard):
    there = harness(
        missed(2, "2026-01-02T00:00:00Z"),
        missed(1, "2026-01-01T00:00:00Z"),
        one("event", "evt_1"),
        one("event", "evt_2"),
    )
    seen = []

    async def handle(event):
        seen.append(event.id)

    await recover(
        there.client,
        handle,
        since=timedelta(days=1),
        guard=guard,
        statuses=("failed", "pending"),
    )

    assert seen == ["evt_1", "evt_2"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "since", [date(2026, 1, 1), "2026-01-01", 7, None, timedelta.max, timedelta.min]
)
async def test_recover_refuses_what_is_no_time(harness, guard, since):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="since must be a datetime"):
        await recover(there.client, print, since=since, guard=guard)
    assert there.requests == []


@pytest.mark.asyncio
async def test_recover_refuses_a_text_instead_of_statuses(harness, guard):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="not one str"):
        await recover(
            there.client,
            print,
            since=timedelta(days=1),
            guard=guard,
            statuses="failed",
        )
    assert there.requests == []
