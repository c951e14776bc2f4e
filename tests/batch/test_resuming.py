"""A checkpoint makes a rerun continue: what was acknowledged is never fetched again."""

import asyncio
import contextlib
import os

import pytest

from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.errors import (
    CheckpointInUseError,
    NotFoundError,
    StoreRefusedError,
)
from tests.batch.conftest import collected, ids_of, no_tasks_left


IDS = [f"inq_{number}" for number in range(20)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch.checkpoint"


@pytest.fixture
def resumed(kit, path):
    def make(ids=IDS, **options):
        return kit.batch(ids, checkpoint=SQLiteCheckpoint(path), **options)

    return make


async def taken(batch, count):
    """Take this many outcomes, then stop; the last one is not acknowledged."""
    async with batch:
        return [(await anext(batch)).id for _ in range(count)]


@pytest.mark.asyncio
async def test_rerun_fetches_unacknowledged_objects(kit, resumed):
    first = await taken(resumed(), 8)
    again = ids_of(await collected(resumed()))

    assert sorted([*first[:-1], *again]) == sorted(IDS)
    assert first[-1] in again  # the next one was not requested
    assert no_tasks_left()


@pytest.mark.asyncio
async def test_last_object_can_be_acknowledged_without_another_iteration(resumed):
    async with resumed() as batch:
        last = await anext(batch)
        await batch.acknowledge(last.id)

    assert last.id not in ids_of(await collected(resumed()))


@pytest.mark.asyncio
async def test_object_can_be_acknowledged_before_the_first_iteration(resumed):
    batch = resumed()
    await batch.acknowledge("inq_3")

    assert "inq_3" not in ids_of(await collected(batch))


@pytest.mark.asyncio
async def test_acknowledging_outside_a_run_releases_the_file(resumed):
    first, second = resumed(), resumed()
    await first.acknowledge("inq_1")
    await second.acknowledge("inq_2")
    await collected(first)
    await first.acknowledge("inq_3")

    assert await collected(second) == []
    assert second.report().skipped == len(IDS)


@pytest.mark.asyncio
async def test_finished_batch_has_nothing_left(kit, resumed):
    await collected(resumed())
    asked = len(kit.objects.asked)
    batch = resumed()

    assert await collected(batch) == []
    assert len(kit.objects.asked) == asked
    assert batch.report().skipped == len(IDS)


@pytest.mark.asyncio
async def test_failed_objects_are_retried_by_the_next_run(kit, resumed):
    kit.objects.errors["inq_3"] = [NotFoundError("no such object", status=404)]
    await collected(resumed())

    assert ids_of(await collected(resumed())) == ["inq_3"]


@pytest.mark.asyncio
async def test_repeated_id_is_skipped_after_it_was_acknowledged(kit, resumed):
    await collected(resumed([*IDS, *IDS], concurrency=1, size=4))

    assert kit.objects.asked == IDS


@pytest.mark.asyncio
async def test_checkpoint_that_is_refused_stops_before_anything_is_sent(
    kit, resumed, path, tmp_path
):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreRefusedError, match="symbolic link"):
        await collected(resumed())

    assert kit.objects.asked == []
    assert no_tasks_left()


@pytest.mark.asyncio
async def test_second_run_gets_the_process_id_of_the_first(resumed):
    async with resumed() as batch:
        await anext(batch)
        with pytest.raises(CheckpointInUseError, match=rf"pid {os.getpid()}\b"):
            async with resumed():
                pass


@pytest.mark.asyncio
async def test_time_out_while_acknowledging_loses_nothing(kit, resumed):
    found = []
    async with resumed() as batch:
        while len(found) < len(IDS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.0005):
                    found.append((await anext(batch)).id)
        await batch.acknowledge(found[-1])

    assert sorted(found) == sorted(IDS)
    assert await collected(resumed()) == []


@pytest.mark.asyncio
async def test_nothing_is_acknowledged_by_itself_when_it_is_explicit(resumed):
    async with resumed(acknowledge="explicit") as batch:
        outcomes = ids_of([each async for each in batch])
        await batch.acknowledge(*outcomes[::2])

    assert sorted(ids_of(await collected(resumed()))) == sorted(outcomes[1::2])
