"""Batch: outcomes in order of arrival, bounded concurrency, and a clean end."""

import asyncio
import gc
import tracemalloc
from datetime import timedelta

import pytest

from persona_share import Failed, Fetched
from persona_share.batch.groups import DirectPlanner
from persona_share.errors import (
    AuthenticationError,
    ConnectionLostError,
    ManagerClosedError,
    NotFoundError,
    OutageError,
    RateLimitedError,
    ServerError,
    UsageError,
)
from persona_share.model.batch import RateLimitStatus
from tests.batch.conftest import collected, ids_of, no_tasks_left


def several(count):
    return [f"inq_{number}" for number in range(count)]


@pytest.mark.asyncio
async def test_outcomes_are_yielded_in_order_of_arrival(kit):
    gate = kit.objects.hold("inq_0")
    batch = kit.batch(several(3))
    first = [await anext(batch), await anext(batch)]
    gate.set()

    assert ids_of([*first, await anext(batch)]) == ["inq_1", "inq_2", "inq_0"]


@pytest.mark.asyncio
async def test_every_object_is_yielded_once_with_its_resource(kit):
    outcomes = await collected(kit.batch(several(100)))

    assert sorted(kit.objects.asked) == sorted(several(100))
    assert all(isinstance(each, Fetched) for each in outcomes)
    assert all(each.resource == each.id for each in outcomes)
    assert no_tasks_left()


@pytest.mark.parametrize("concurrency", [1, 7])
@pytest.mark.asyncio
async def test_at_most_concurrency_calls_are_in_flight(kit, concurrency):
    await collected(kit.batch(several(50), concurrency=concurrency))

    assert kit.objects.most == concurrency


@pytest.mark.asyncio
async def test_slow_consumer_slows_the_fetch(kit):
    batch = kit.batch(several(1_000), concurrency=4)
    await anext(batch)
    await kit.settle()

    # One is taken; as many wait to be taken as travel, and as many have come.
    assert len(kit.objects.asked) <= 1 + 2 * 4
    await batch.aclose()


@pytest.mark.asyncio
async def test_ids_are_read_only_as_far_as_they_are_needed(kit):
    read = 0

    async def endless():
        nonlocal read
        while True:
            yield f"inq_{read}"
            read += 1

    async with kit.batch(endless(), concurrency=4, size=1) as batch:
        for _ in range(10):
            await anext(batch)
        await kit.settle()

    assert read <= 10 + 4 * 4


@pytest.mark.asyncio
async def test_memory_does_not_grow_with_the_number_of_ids(kit):
    kit.objects.asked = _DiscardingList()
    kit.progress_events = _DiscardingList()
    many = (f"inq_{number}" for number in range(10_000))
    batch = kit.batch(many, concurrency=32, size=256)
    tracemalloc.start()
    try:
        await taken(batch, 1_000)
        before, _ = tracemalloc.get_traced_memory()
        await taken(batch, 9_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await batch.aclose()

    assert after - before < 64 * 1024


async def taken(batch, count):
    for _ in range(count):
        await anext(batch)


class _DiscardingList(list):
    def append(self, item):
        """Do nothing."""


@pytest.mark.asyncio
async def test_failing_object_does_not_stop_the_others(kit):
    kit.objects.errors["inq_3"] = NotFoundError("no such object", status=404)
    outcomes = await collected(kit.batch(several(10)))
    failed = [each for each in outcomes if isinstance(each, Failed)]

    assert ids_of(failed) == ["inq_3"]
    assert failed[0].error.status == 404
    assert len(outcomes) == 10


@pytest.mark.asyncio
async def test_batch_ends_when_the_manager_is_closed(kit):
    kit.objects.errors["inq_2"] = ManagerClosedError("the manager was closed")
    with pytest.raises(ManagerClosedError):
        await collected(kit.batch(several(1_000)))

    assert len(kit.objects.asked) < 20
    assert no_tasks_left()


@pytest.mark.asyncio
async def test_batch_ends_when_the_iterable_of_ids_raises(kit):
    async def broken():
        yield "inq_0"
        yield "inq_1"
        message = "the file ended"
        raise OSError(message)

    batch = kit.batch(broken(), size=1)
    outcomes = [await anext(batch), await anext(batch)]
    with pytest.raises(OSError, match="the file ended"):
        await anext(batch)

    assert sorted(ids_of(outcomes)) == ["inq_0", "inq_1"]
    assert no_tasks_left()


@pytest.mark.asyncio
async def test_exhausted_batch_stays_exhausted(kit):
    batch = kit.batch(several(2))
    await collected(batch)

    assert await collected(batch) == []


@pytest.mark.asyncio
async def test_nothing_is_requested_before_the_first_iteration(kit):
    kit.batch(several(2))
    await kit.settle()

    assert kit.objects.asked == []
    assert no_tasks_left()


# ── Leaving ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_loop_left_inside_async_with_leaves_no_task(kit):
    async with kit.batch(several(100)) as batch:
        async for _ in batch:
            break

    assert no_tasks_left()
    assert kit.objects.in_progress == 0


@pytest.mark.asyncio
async def test_abandoned_batch_stops_by_itself(kit):
    async for _ in kit.batch(several(100)):
        break
    gc.collect()
    await kit.settle()

    assert no_tasks_left()


@pytest.mark.asyncio
async def test_nothing_is_left_when_the_consumer_is_cancelled(kit):
    kit.objects.hold("inq_5")
    task = asyncio.create_task(collected(kit.batch(several(6))))
    await kit.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    await kit.settle()

    assert no_tasks_left()
    assert kit.objects.in_progress == 0


@pytest.mark.asyncio
async def test_close_can_be_called_twice(kit):
    batch = kit.batch(several(5))
    await anext(batch)
    await batch.aclose()
    await batch.aclose()

    assert await collected(batch) == []


@pytest.mark.asyncio
async def test_task_that_waits_for_an_outcome_ends_when_the_batch_is_closed(kit):
    kit.objects.hold("inq_1")
    batch = kit.batch(["inq_0", "inq_1"])
    await anext(batch)
    waiting = asyncio.ensure_future(collected(batch))
    await kit.settle()
    await batch.aclose()

    assert await asyncio.wait_for(waiting, 5) == []


# ── When nothing works ──────────────────────────────────────────────────────────


def failing_until(kit, end):
    """Return a retrieval that fails until this time, as if the service were down."""

    async def retrieve(object_id):
        kit.objects.asked.append(object_id)
        await asyncio.sleep(0)  # noqa: TID251  # another task's turn
        if kit.clock.now() < end:
            message = "the connection broke"
            raise ConnectionLostError(message)
        return object_id

    return DirectPlanner(retrieve)


@pytest.mark.parametrize("minutes", [1, 10])
@pytest.mark.asyncio
async def test_no_object_fails_when_the_service_is_down_for_minutes(kit, minutes):
    planner = failing_until(kit, kit.clock.now() + 60 * minutes)
    outcomes = await kit.until(collected(kit.batch(several(500), planner=planner)))

    assert sorted(ids_of(outcomes)) == sorted(several(500))
    assert all(isinstance(each, Fetched) for each in outcomes)
    # At first as many as travel at once, then one probe for each pause.
    assert len(kit.objects.asked) <= 500 + 2 * 4 + 6 + minutes


@pytest.mark.asyncio
async def test_batch_stops_when_the_service_is_down_for_longer_than_max_outage(kit):
    planner = failing_until(kit, float("inf"))
    batch = kit.batch(several(5_000), planner=planner, max_outage=300)
    began = kit.clock.now()
    with pytest.raises(OutageError, match="service has been down") as raised:
        await kit.until(collected(batch))

    assert 300 < kit.clock.now() - began < 300 + 61
    assert (raised.value.waiting_for, raised.value.retryable) == ("service", True)
    assert batch.report().failed == 0
    assert len(kit.objects.asked) < 30
    assert no_tasks_left()


@pytest.mark.asyncio
async def test_progress_reports_that_the_service_is_down(kit):
    planner = failing_until(kit, kit.clock.now() + 60)
    batch = kit.batch(several(20), planner=planner)
    first = asyncio.ensure_future(anext(batch))
    await kit.settle()
    assert batch.progress().waiting_for == "service"
    await kit.until(first)

    assert batch.progress().waiting_for is None
    await batch.aclose()


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.asyncio
async def test_failing_object_fails_alone(kit, concurrency):
    kit.objects.errors["inq_19"] = ServerError("it failed", status=500)
    began = kit.clock.now()
    batch = kit.batch(several(20), concurrency=concurrency)
    outcomes = await kit.until(collected(batch))

    failed = [each for each in outcomes if isinstance(each, Failed)]
    assert ids_of(failed) == ["inq_19"]
    assert kit.objects.asked.count("inq_19") == 3
    assert kit.clock.now() - began < 10


@pytest.mark.asyncio
async def test_rejected_key_stops_the_batch_after_a_few_calls(kit):
    for each in several(2_000)[10:]:
        kit.objects.errors[each] = AuthenticationError("rejected", status=401)
    batch = kit.batch(several(2_000))
    with pytest.raises(AuthenticationError):
        await collected(batch)

    assert batch.report().fetched == 10
    assert len(kit.objects.asked) < 10 + 10
    assert no_tasks_left()


@pytest.mark.asyncio
async def test_single_401_fails_one_object(kit):
    for each in several(20)[::3]:
        kit.objects.errors[each] = AuthenticationError("rejected", status=401)
    outcomes = await collected(kit.batch(several(20), concurrency=1))

    assert sum(isinstance(each, Failed) for each in outcomes) == 7


@pytest.mark.asyncio
async def test_spent_rate_limit_is_waited_for_without_failures(kit):
    limited = RateLimitedError("no slot in time", retry_after=30.0)
    for each in several(8):
        kit.objects.errors[each] = [limited]
    began = kit.clock.now()
    outcomes = await kit.until(collected(kit.batch(several(8))))

    assert all(isinstance(each, Fetched) for each in outcomes)
    assert kit.clock.now() - began >= 30


# ── Time-outs around one outcome ────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["wait_for", "timeout", "cancel"])
@pytest.mark.asyncio
async def test_nothing_is_lost_when_a_wait_for_an_outcome_is_cancelled(kit, way):
    gates = {each: kit.objects.hold(each) for each in several(30)}

    async def attempt(batch):
        if way == "wait_for":
            return await asyncio.wait_for(anext(batch), 0.001)
        if way == "timeout":
            async with asyncio.timeout(0.001):
                return await anext(batch)
        task = asyncio.ensure_future(anext(batch))
        await kit.settle()
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            raise TimeoutError from None

    found, timeouts = [], 0
    async with kit.batch(several(30)) as batch:
        while len(found) < 30:
            try:
                found.append((await attempt(batch)).id)
            except TimeoutError:
                timeouts += 1
                waiting = [each for each in gates if each not in found]
                gates[waiting[0]].set()
        with pytest.raises(StopAsyncIteration):
            await anext(batch)

    assert sorted(found) == sorted(several(30))
    assert timeouts > 5
    assert batch.report().fetched == 30


@pytest.mark.asyncio
async def test_second_task_that_iterates_a_batch_is_refused(kit):
    kit.objects.hold("inq_0")
    async with kit.batch(["inq_0"]) as batch:
        first = asyncio.ensure_future(anext(batch))
        await kit.settle()
        with pytest.raises(UsageError, match="another task"):
            await anext(batch)
        first.cancel()


# ── Progress ───────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_plan_counts_objects_and_the_time_that_the_limit_costs(kit):
    kit.allowance = RateLimitStatus(limit=300, remaining=100, resets_in=20.0)
    plan = kit.batch(several(1_000)).plan()

    assert (plan.objects, plan.tokens, plan.limit) == (1_000, 0, 300)
    # 100 now, 300 in 20 s, 300 in 80 s, 300 in 140 s
    assert plan.shortest_for == timedelta(seconds=140)


@pytest.mark.asyncio
async def test_plan_returns_none_for_unknown_values(kit):
    assert kit.batch(several(10)).plan().shortest_for is None
    plan = kit.batch(iter(several(10))).plan()
    assert (plan.objects, plan.tokens, plan.shortest_for) == (None, None, None)


@pytest.mark.asyncio
async def test_progress_is_reported_after_each_object(kit):
    kit.objects.errors["inq_3"] = NotFoundError("no such object", status=404)
    await collected(kit.batch(several(10)))

    assert [each.done for each in kit.progress_events] == list(range(1, 11))
    assert {each.total for each in kit.progress_events} == {10}
    assert (kit.progress_events[-1].fetched, kit.progress_events[-1].failed) == (9, 1)


@pytest.mark.asyncio
async def test_progress_has_rate_and_remaining_count(kit):
    batch = kit.batch(several(10), concurrency=1)
    await anext(batch)
    kit.clock.advance(2)
    await anext(batch)
    progress = batch.progress()
    await batch.aclose()

    assert progress.rate == 1.0
    assert progress.left_for == timedelta(seconds=8)


@pytest.mark.asyncio
async def test_report_counts_outcomes(kit):
    kit.objects.errors["inq_3"] = NotFoundError("no such object", status=404)
    batch = kit.batch(several(10))
    assert batch.report().seconds == 0.0
    async for each in batch:
        kit.clock.advance(1 if each.id == "inq_0" else 0)
    report = batch.report()
    kit.clock.advance(100)

    assert (report.fetched, report.failed, report.skipped) == (9, 1, 0)
    assert batch.report().seconds == 1.0
