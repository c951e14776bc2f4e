"""Fetches and copies survive power cuts, kills, full disks, outages and other runs.

Nothing is lost, nothing is there twice, and what is acknowledged is on the disk.
`make soak-saving` runs 500 of each, `make test` 20.
"""

import asyncio
import errno
import os
import random  # noqa: TID251  # seeded
import shutil
import time

import pytest

from persona_share.batch.groups import DirectPlanner
from persona_share.batch.saving import Disk, Ndjson, OutputFile, Saver
from persona_share.errors import (
    CheckpointInUseError,
    ConnectError,
    OutageError,
    ServerError,
)
from tests.batch import saved
from tests.batch.saved import RUNS, FailingDisk, Object, PowerCutError
from tests.processes import FORKSERVER


LONG = float(os.environ.get("SOAK_MINUTES", "0")) >= 5
SEEDS = [
    pytest.param(seed, marks=[pytest.mark.slow] if seed >= 4 else [])
    for seed in range(500 if LONG else 20)
]
kinds = pytest.mark.parametrize("kind", list(RUNS))


def seeded(seed):
    return random.Random(seed)  # noqa: S311  # a seeded test


def full():
    return OSError(errno.ENOSPC, "No space left on device")


async def until_complete(kind, kit, folder, error, rng, *, cut):
    """Run again and again on a disk that fails, until everything is saved."""
    run, require_acknowledged, require_complete = RUNS[kind]
    synced = {}
    for _ in range(8):
        disk = FailingDisk(rng.randint(0, 250), error, synced)
        try:
            await run(folder, disk, kit)
        except (PowerCutError, OSError):
            if cut:
                disk.cut(folder, rng)
            require_acknowledged(folder)
        else:
            break
    await run(folder, Disk(), kit)
    require_complete(folder)


@kinds
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_by_power_cuts(kind, kit, tmp_path, seed):
    await until_complete(kind, kit, tmp_path, PowerCutError, seeded(seed), cut=True)


@pytest.mark.parametrize("left", [b"\0" * 5_000, b"\0\0{"])
@pytest.mark.asyncio
async def test_fetch_continues_when_zeros_are_left_of_its_first_rows(
    kit, tmp_path, left
):
    disk = FailingDisk(0, PowerCutError, {})
    with pytest.raises(PowerCutError):
        await saved.fetch_into(tmp_path, disk, kit)
    (tmp_path / "out").write_bytes(left)
    await saved.fetch_into(tmp_path, Disk(), kit)
    saved.require_fetched(tmp_path)


@kinds
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_by_full_disks(kind, kit, tmp_path, seed):
    await until_complete(kind, kit, tmp_path, full, seeded(seed), cut=False)


@kinds
@pytest.mark.parametrize("seed", SEEDS[:: 1 if LONG else 4])
@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_by_overlapping_runs(
    kind, kit, tmp_path, seed
):
    run, _, require_complete = RUNS[kind]
    rng, runs = seeded(seed), []
    for _ in range(4):
        runs.append(asyncio.create_task(run(tmp_path, Disk(), kit)))
        await asyncio.wait(runs, timeout=rng.random() / 50)
    results = await asyncio.gather(*runs, return_exceptions=True)
    require_complete(tmp_path)

    assert {type(each) for each in results} <= {int, CheckpointInUseError}
    done = sum(each for each in results if isinstance(each, int))
    assert done == len(saved.IDS if kind == "fetch" else saved.PEOPLE)


@kinds
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_by_outages(kind, kit, tmp_path, seed):
    run, require_acknowledged, require_complete = RUNS[kind]
    rng = seeded(seed)
    begins, lasts = rng.randint(0, 50), rng.choice([30, 600, 2_000])
    down = rng.choice([ConnectError("refused"), ServerError("down", status=503)])
    began = None

    async def fail_for_a_while():
        nonlocal began
        if len(kit.objects.asked) >= begins:
            began = kit.clock.now() if began is None else began
            if kit.clock.now() < began + lasts:
                raise down.fresh()

    kit.objects.before = fail_for_a_while
    for _ in range(4):
        try:
            await kit.until(run(tmp_path, Disk(), kit), step=5.0)
        except OutageError:
            assert lasts == 2_000
            require_acknowledged(tmp_path)
        else:
            break
    require_complete(tmp_path)


@kinds
def test_nothing_is_lost_or_doubled_by_kills(kind, kit, tmp_path):
    run, require_acknowledged, require_complete = RUNS[kind]
    rng, kills, longest = seeded(0), 0, 1.0
    for number in range(2 * len(SEEDS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for _ in range(4):
            process = FORKSERVER.Process(target=saved.run, args=(kind, folder))
            began = time.monotonic()  # noqa: TID251  # a real process
            process.start()
            process.join(rng.random() * longest)
            process.kill()
            process.join()
            require_acknowledged(folder)
            if process.exitcode == 0:
                longest = time.monotonic() - began  # noqa: TID251  # as above
                break
            kills += 1
        asyncio.run(run(folder, Disk(), kit))
        require_complete(folder)
        shutil.rmtree(folder)
        if kills >= len(SEEDS):
            return
    raise AssertionError(kills)


@pytest.mark.asyncio
async def test_files_are_saved_side_by_side(kit, tmp_path):
    under_way, most = 0, 0

    async def attach(found):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await kit.clock.sleep(0.1)
        under_way -= 1
        return []

    async def retrieve(object_id):
        return Object(object_id)

    batch = kit.batch(
        [f"inq_{number}" for number in range(300)],
        planner=DirectPlanner(retrieve, 8),
        acknowledge="explicit",
    )
    output = OutputFile(tmp_path / "out", Ndjson())
    await output.open(output.start())
    saver = Saver(
        batch=batch, output=output, attach=attach, concurrency=16, on_failed=print
    )
    await kit.until(saver.run(), step=0.1)

    assert most == 16
    assert saver.saved == 300
