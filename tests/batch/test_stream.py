"""Batch: outcomes as they arrive, so many at once, and a clean end."""

import asyncio
import gc
import tracemalloc
from datetime import timedelta

import pytest

from persona_share import Failed, Fetched
from persona_share.batch.opening import Direct
from persona_share.errors import (
    ConnectionLostError,
    ManagerClosedError,
    NotFoundError,
)
from persona_share.model.batch import RateLimitStatus
from tests.batch.conftest import collected, ids_of, no_tasks_left


def several(count):
    return [f"inq_{number}" for number in range(count)]


@pytest.mark.asyncio
async def test_what_comes_first_is_told_first(kit):
    gate = kit.objects.hold("inq_0")
    batch = kit.batch(several(3))
    first = [await anext(batch), await anext(batch)]
    gate.set()

    assert ids_of([*first, await anext(batch)]) == ["inq_1", "inq_2", "inq_0"]


@pytest.mark.asyncio
async def test_every_object_is_fetched_once_and_told_with_its_resource(kit):
    outcomes = await collected(kit.batch(several(100)))

    assert sorted(kit.objects.asked) == sorted(several(100))
    assert all(isinstance(each, Fetched) for each in outcomes)
    assert all(each.resource == each.id for each in outcomes)
    assert no_tasks_left()


@pytest.mark.parametrize("concurrency", [1, 7])
@pytest.mark.asyncio
async def test_no_more_than_concurrency_calls_travel_at_once(kit, concurrency):
    await collected(kit.batch(several(50), concurrency=concurrency))

    assert kit.objects.most == concurrency


@pytest.mark.asyncio
async def test_a_slow_consumer_slows_the_fetch(kit):
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
async def test_memory_stays_flat_however_many_ids_there_are(kit):
    kit.objects.asked = _Nothing()
    kit.told = _Nothing()
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


class _Nothing(list):
    def append(self, item):
        """Keep nothing."""


@pytest.mark.asyncio
async def test_one_bad_object_never_stops_the_rest(kit):
    kit.objects.errors["inq_3"] = NotFoundError("no such object", status=404)
    outcomes = await collected(kit.batch(several(10)))
    failed = [each for each in outcomes if isinstance(each, Failed)]

    assert ids_of(failed) == ["inq_3"]
    assert failed[0].error.status == 404
    assert len(outcomes) == 10


@pytest.mark.asyncio
async def test_what_ends_the_manager_ends_the_batch(kit):
    kit.objects.errors["inq_2"] = ManagerClosedError("the manager was closed")
    with pytest.raises(ManagerClosedError):
        await collected(kit.batch(several(1_000)))

    assert len(kit.objects.asked) < 20
    assert no_tasks_left()


@pytest.mark.asyncio
async def test_ids_that_break_off_end_the_batch_after_what_was_read(kit):
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
async def test_an_end_is_an_end(kit):
    batch = kit.batch(several(2))
    await collected(batch)

    assert await collected(batch) == []


@pytest.mark.asyncio
async def test_nothing_is_asked_for_before_the_first_is(kit):
    kit.batch(several(2))
    await kit.settle()

    assert kit.objects.asked == []
    assert no_tasks_left()


# ── Leaving ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_loop_that_is_left_inside_async_with_leaves_nothing_behind(kit):
    async with kit.batch(several(100)) as batch:
        async for _ in batch:
            break

    assert no_tasks_left()
    assert kit.objects.under_way == 0


@pytest.mark.asyncio
async def test_a_batch_that_is_dropped_ends_by_itself(kit):
    async for _ in kit.batch(several(100)):
        break
    gc.collect()
    await kit.settle()

    assert no_tasks_left()


@pytest.mark.asyncio
async def test_cancelling_whoever_iterates_closes_everything(kit):
    kit.objects.hold("inq_5")
    task = asyncio.create_task(collected(kit.batch(several(6))))
    await kit.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert no_tasks_left()
    assert kit.objects.under_way == 0


@pytest.mark.asyncio
async def test_closing_twice_is_fine(kit):
    batch = kit.batch(several(5))
    await anext(batch)
    await batch.aclose()
    await batch.aclose()

    assert await collected(batch) == []


# ── When nothing works ──────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_an_outage_of_a_minute_does_not_fail_the_whole_batch(kit):
    end = kit.clock.now() + 60

    async def retrieve(object_id):
        kit.objects.asked.append(object_id)
        await asyncio.sleep(0)  # noqa: TID251  # another task's turn
        if kit.clock.now() < end:
            message = "the connection broke"
            raise ConnectionLostError(message)
        return object_id

    batch = kit.batch(several(500), opening=Direct(retrieve))
    outcomes = await kit.until(collected(batch))
    failed = [each for each in outcomes if isinstance(each, Failed)]

    assert len(outcomes) == len(kit.objects.asked) == 500
    # Before each of the pauses of 1, 2, 4, 8, 16 and 32 seconds four fail in a row,
    # and three more were on their way.
    assert len(failed) <= 6 * (4 + 3)


@pytest.mark.asyncio
async def test_an_outage_without_end_ends_the_batch_all_the_same(kit):
    for each in several(100):
        kit.objects.errors[each] = ConnectionLostError("the connection broke")
    began = kit.clock.now()
    outcomes = await kit.until(collected(kit.batch(several(100))))

    assert len(outcomes) == len(kit.objects.asked) == 100
    assert kit.clock.now() - began < 180


# ── What it tells ───────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_the_plan_counts_objects_and_the_time_that_the_limit_costs(kit):
    kit.allowance = RateLimitStatus(limit=300, remaining=100, resets_in=20.0)
    plan = kit.batch(several(1_000)).plan()

    assert (plan.objects, plan.tokens, plan.limit) == (1_000, 0, 300)
    # 100 now, 300 in 20 s, 300 in 80 s, 300 in 140 s
    assert plan.shortest_for == timedelta(seconds=140)


@pytest.mark.asyncio
async def test_a_plan_does_not_pretend_to_know(kit):
    assert kit.batch(several(10)).plan().shortest_for is None
    plan = kit.batch(iter(several(10))).plan()
    assert (plan.objects, plan.tokens, plan.shortest_for) == (None, None, None)


@pytest.mark.asyncio
async def test_progress_is_told_after_each_object(kit):
    kit.objects.errors["inq_3"] = NotFoundError("no such object", status=404)
    await collected(kit.batch(several(10)))

    assert [each.done for each in kit.told] == list(range(1, 11))
    assert {each.total for each in kit.told} == {10}
    assert (kit.told[-1].fetched, kit.told[-1].failed) == (9, 1)


@pytest.mark.asyncio
async def test_progress_tells_the_rate_and_what_is_left(kit):
    batch = kit.batch(several(10), concurrency=1)
    await anext(batch)
    kit.clock.advance(2)
    await anext(batch)
    progress = batch.progress()
    await batch.aclose()

    assert progress.rate == 1.0
    assert progress.left_for == timedelta(seconds=8)


@pytest.mark.asyncio
async def test_the_report_counts_what_was_done(kit):
    kit.objects.errors["inq_3"] = NotFoundError("no such object", status=404)
    batch = kit.batch(several(10))
    assert batch.report().seconds == 0.0
    async for each in batch:
        kit.clock.advance(1 if each.id == "inq_0" else 0)
    report = batch.report()
    kit.clock.advance(100)

    assert (report.fetched, report.failed, report.skipped) == (9, 1, 0)
    assert batch.report().seconds == 1.0
