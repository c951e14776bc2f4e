"""Fetches and copies survive power cuts, kills, full disks, outages and other runs.

Nothing is lost, nothing is there twice, and what is acknowledged is on the disk.
`make soak-saving` runs 500 of each, `make test-slow` 20 and `make test` 5.
"""

import asyncio
import functools
import json
import threading

import pytest

from persona_share._protocol import jsonapi
from persona_share._transport.private_files import problem_of
from persona_share.batch.groups import DirectPlanner
from persona_share.batch.saving import Disk, Ndjson, OutputFile, Saver
from persona_share.errors import CheckpointInUseError, MalformedResponseError
from persona_share.model.resource import ResponseInfo
from tests.batch import saved
from tests.batch.conftest import Object


@pytest.mark.parametrize("wanted", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", saved.KINDS)
@pytest.mark.parametrize("failure", saved.FAILURES)
@pytest.mark.asyncio
async def test_nothing_is_lost_or_saved_twice_when_runs_fail(
    kind, failure, wanted, tmp_path
):
    seed, runs = 0, 0
    while runs < wanted:
        job = saved.Job(kind, tmp_path / str(seed))
        job.folder.mkdir()
        runs += await saved.FAILURES[failure](job, seed)
        seed += 1

        assert job.problems == []


@pytest.mark.parametrize("left", [b"\0" * 5_000, b"\0\0{"])
@pytest.mark.asyncio
async def test_fetch_continues_when_zeros_are_left_of_its_first_rows(left, tmp_path):
    job = saved.Job("fetch", tmp_path)
    disk = saved.FailingDisk(tmp_path, 1, saved.PowerCutError, {})
    with pytest.raises(saved.PowerCutError):
        await job.run(disk)
    (tmp_path / "out").write_bytes(left)
    await job.finish()

    assert job.problems == []


@pytest.mark.asyncio
async def test_each_file_has_its_own_name_when_attributes_have_the_same(kit, tmp_path):
    host = "https://files.test"
    attributes = {
        "front": {"photo-url": f"{host}/1.png?access_token=x"},
        "front-photo-url": f"{host}/2.png?access_token=x",
    }
    raw = {"type": "inquiry", "id": "inq_1", "attributes": attributes}
    pool = saved.new_pool(kit, Disk())
    found = await pool.save_all(
        jsonapi.resource(raw, ResponseInfo()), kit.batch([]), files=tmp_path
    )

    assert len(found) == len({each.path for _, each in found}) == 2
    assert {*tmp_path.iterdir()} == {each.path for _, each in found}


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


@pytest.mark.parametrize("has_files", [False, True])
@pytest.mark.asyncio
async def test_object_that_cannot_be_a_row_fails_alone(kit, tmp_path, has_files):
    nested = functools.reduce(lambda inner, _: {"x": inner}, range(70), {})
    failed = []

    async def retrieve(object_id):
        attributes = nested if object_id == "inq_2" else {}
        raw = {"type": "inquiry", "id": object_id, "attributes": attributes}
        return jsonapi.resource(raw, ResponseInfo())

    async def attach(_):
        return []

    batch = kit.batch(
        ["inq_1", "inq_2", "inq_3"],
        planner=DirectPlanner(retrieve, 8),
        acknowledge="explicit",
    )
    output = OutputFile(tmp_path / "out", Ndjson())
    await output.open(output.start())
    saver = Saver(
        batch=batch,
        output=output,
        attach=attach if has_files else None,
        on_failed=lambda *failure: failed.append(failure),
    )
    async with batch:
        await saver.run()

    rows = (tmp_path / "out").read_text("utf-8").splitlines()
    assert [json.loads(each)["id"] for each in rows] == ["inq_1", "inq_3"]
    ((object_id, error),) = failed
    assert (object_id, type(error)) == ("inq_2", MalformedResponseError)


@pytest.mark.parametrize("left_behind", [b"", b"x" * 20_000])
@pytest.mark.asyncio
async def test_file_that_is_saved_several_times_at_once_is_whole(
    kit, tmp_path, left_behind
):
    url = {"photo-url": "https://files.test/1?access_token=x"}
    raw = {"type": "verification", "id": "ver_1", "attributes": url}
    resource = jsonapi.resource(raw, ResponseInfo())
    if left_behind:
        (tmp_path / ".ver_1-photo-url.part").write_bytes(left_behind)
    pools = [saved.new_pool(kit, Disk()) for _ in range(2)]
    found = await asyncio.gather(
        *(
            pool.save_all(resource, kit.batch([]), files=tmp_path)
            for pool in [*pools, *pools, *pools]
        )
    )

    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == saved.content_of("ver_1-photo-url")
    assert {each.path for ((_, each),) in found} == {path}


@pytest.mark.asyncio
async def test_all_objects_are_saved_when_the_disk_hangs_for_a_while(kit, tmp_path):
    freed = threading.Event()

    class SlowDisk(Disk):
        def sync(self, descriptor):
            freed.wait(30)

    async def attach(found):
        return []

    async def retrieve(object_id):
        return Object(object_id)

    batch = kit.batch(
        [f"inq_{number}" for number in range(1_500)],
        planner=DirectPlanner(retrieve, 8),
        acknowledge="explicit",
    )
    output = OutputFile(tmp_path / "out", Ndjson(), SlowDisk())
    await output.open(output.start())
    saver = Saver(batch=batch, output=output, attach=attach, on_failed=print)
    running = asyncio.ensure_future(saver.run())
    fetched = -1
    while batch.report().fetched > fetched:  # until nothing more is taken
        fetched = batch.report().fetched
        for _ in range(20):
            await kit.settle()
    freed.set()
    await asyncio.wait_for(running, 30)

    assert 1_000 < fetched < 1_500
    assert saver.saved == 1_500


@pytest.mark.parametrize("name", ["out", "files/.ver_1-photo-url.part"])
@pytest.mark.asyncio
async def test_file_that_others_can_read_gets_mode_0600(kit, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.chmod(0o644)
    if name == "out":
        output = OutputFile(path, Ndjson())
        await output.open(output.start())
        output.close()
    else:
        raw = {"photo-url": "https://files.test/1?access_token=x"}
        raw = {"type": "verification", "id": "ver_1", "attributes": raw}
        resource = jsonapi.resource(raw, ResponseInfo())
        pool, folder = saved.new_pool(kit, Disk()), path.parent
        ((_, found),) = await pool.save_all(resource, kit.batch([]), files=folder)
        path = found.path

    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.asyncio
async def test_output_of_another_run_is_refused_and_unchanged(tmp_path):
    first, second = (OutputFile(tmp_path / "out", Ndjson()) for _ in range(2))
    second.check(None)
    await first.open(None)
    with pytest.raises(CheckpointInUseError, match="in use by another fetch"):
        await second.open(None)
    await first.append([b'{"id":"inq_1"}\n'])
    first.close()
    with pytest.raises(FileExistsError, match="without a checkpoint"):
        await second.open(None)

    assert (tmp_path / "out").read_bytes() == b'{"id":"inq_1"}\n'


def test_file_of_another_user_is_refused(tmp_path):
    path = tmp_path / "out"
    path.touch()
    found = path.stat()

    assert problem_of(found, found.st_uid) is None
    assert problem_of(found, found.st_uid + 1) == "belongs to another user"
