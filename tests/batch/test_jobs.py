"""Shards: the same parts for the same ids, and one record for each of them."""

import pickle
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from attrs import evolve

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.batch import (
    CopyJob,
    FetchJob,
    StoreCheckpoint,
    shard,
    verify_copy,
)
from persona_share.errors import (
    CheckpointInUseError,
    CheckpointMismatchError,
    InvalidArgumentError,
    StoreUnavailableError,
)
from persona_share.sandbox import Sandbox
from persona_share.stores import MemoryStore


IDS = [f"inq_{number}" for number in range(103)]


def open_manager():
    raise NotImplementedError


def handle(fetched):
    raise NotImplementedError


#: The sandbox, the store and the handled ids of the test that runs a job.
RUNNING = {}


@asynccontextmanager
async def open_running_manager():
    sandbox = RUNNING["sandbox"]
    local = {"base_url": sandbox.url, "insecure_local": True}
    async with (
        PersonaClient(sandbox.source.api_key, **local) as source,
        PersonaClient(sandbox.destination.api_key, **local) as client,
    ):

        async def ask_partner(scope):
            return await source.oauth.authorize(
                client_id=sandbox.destination.id, scope=scope
            )

        async with ScopedTokenManager(client, codes=ask_partner) as manager:
            yield manager


def open_running_store():
    return RUNNING["store"]


def handle_until_broken(fetched):
    if len(RUNNING["handled"]) == RUNNING["broken_after"]:
        raise ZeroDivisionError
    RUNNING["handled"].append(fetched.id)


@pytest.mark.parametrize("count", [1, 4, 7, 103, 500])
def test_every_id_is_in_one_shard(count):
    parts = shard(IDS, count)

    assert [each for part in parts for each in part] == IDS
    assert len(parts) == min(count, 103)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert shard(iter([*IDS, *IDS]), count) == parts


def test_number_of_shards_that_makes_no_sense_is_refused():
    for count in (0, -1, 2.5, True):
        with pytest.raises(InvalidArgumentError):
            shard(IDS, count)


@pytest.mark.asyncio
async def test_record_contains_acknowledged_ids():
    store = MemoryStore()
    first = StoreCheckpoint(store, "one", IDS)
    await first.open()
    await first.record(IDS[:40])
    await first.record([*IDS[30:50], "inq_elsewhere"])
    second = StoreCheckpoint(store, "one", IDS)
    await second.open()

    assert await second.known([*IDS, "inq_elsewhere"]) == {*IDS[:50]}
    assert second.acknowledged == 50


@pytest.mark.asyncio
async def test_worker_that_was_replaced_acknowledges_nothing_more():
    store = MemoryStore()
    first = StoreCheckpoint(store, "one", IDS)
    second = StoreCheckpoint(store, "one", IDS)
    await first.open()
    await first.record(IDS[:1])
    await second.open()
    with pytest.raises(CheckpointInUseError, match="took this shard over"):
        await first.record(IDS[1:2])
    await second.record(IDS[2:3])

    assert second.acknowledged == 2
    assert not await first.known(IDS[1:2])


class SlowStore(MemoryStore):
    """A store whose operations end without a response for a while."""

    failures = 0

    async def write(self, key, value, *, if_etag, ttl):
        written = await super().write(key, value, if_etag=if_etag, ttl=ttl)
        self.failures -= 1
        if self.failures >= 0:
            raise StoreUnavailableError("no answer in time")
        return written


@pytest.mark.asyncio
async def test_nothing_is_lost_when_the_store_is_down_for_a_minute(kit):
    store = SlowStore()
    store.failures = 3
    first = StoreCheckpoint(store, "one", IDS, clock=kit.clock)
    await kit.until(first.open())
    store.failures = 6
    await kit.until(first.record(IDS[:40]))
    second = StoreCheckpoint(store, "one", IDS)
    await second.open()

    assert second.acknowledged == 40


@pytest.mark.asyncio
async def test_unresponsive_store_raises(kit):
    store = SlowStore()
    store.failures = 1_000
    with pytest.raises(StoreUnavailableError):
        await kit.until(StoreCheckpoint(store, "one", IDS, clock=kit.clock).open())


@pytest.mark.asyncio
async def test_record_of_other_ids_is_refused():
    store = MemoryStore()
    first = StoreCheckpoint(store, "one", IDS)
    await first.open()
    await first.record(IDS)
    for other in (IDS[1:], [f"ver_{number}" for number in range(103)], IDS[::-1]):
        with pytest.raises(CheckpointMismatchError, match="other ids"):
            await StoreCheckpoint(store, "one", other).open()


@pytest.mark.parametrize("damage", [b"!", b"AA==", None])
@pytest.mark.asyncio
async def test_damaged_record_is_refused(damage):
    store = MemoryStore()
    await StoreCheckpoint(store, "one", IDS).open()
    found = await store.read("shard/one")
    record = orjson.loads(found.value)
    record["done"] = None if damage is None else damage.decode()
    value = orjson.dumps(record)
    await store.write("shard/one", value, if_etag=found.etag, ttl=60.0)
    with pytest.raises(CheckpointMismatchError, match="something else"):
        await StoreCheckpoint(store, "one", IDS).open()


@pytest.mark.asyncio
async def test_hundred_thousand_objects_fit_in_a_record():
    ids = [f"inq_{number}" for number in range(100_000)]
    checkpoint = StoreCheckpoint(MemoryStore(), "one", ids)
    await checkpoint.open()
    await checkpoint.record(ids)

    assert checkpoint.acknowledged == 100_000


def test_job_can_be_pickled_and_holds_no_function_that_cannot():
    job = FetchJob(ids=IDS, open_manager=open_manager, handle=handle)
    copy = CopyJob(ids=IDS, open_manager=open_manager, into="people")

    assert pickle.loads(pickle.dumps(job)) == job  # noqa: S301
    assert pickle.loads(pickle.dumps(copy)) == copy  # noqa: S301
    assert job.name == FetchJob(ids=IDS, open_manager=open_manager, handle=handle).name
    assert "inq_1" not in repr(job)
    with pytest.raises(InvalidArgumentError, match="not a lambda"):
        FetchJob(ids=IDS, open_manager=open_manager, handle=lambda _: None)
    with pytest.raises(InvalidArgumentError, match="sequence"):
        FetchJob(ids="inq_1", open_manager=open_manager, handle=handle)


@pytest.mark.asyncio
async def test_nothing_is_handled_twice_when_handle_raises():
    async with Sandbox(rate_limit=None) as sandbox:
        ids = [sandbox.add_inquiry().id for _ in range(12)]
        RUNNING.update(sandbox=sandbox, store=MemoryStore(), handled=[], broken_after=7)
        job = FetchJob(
            ids=ids,
            open_manager=open_running_manager,
            open_store=open_running_store,
            handle=handle_until_broken,
        )
        with pytest.raises(ZeroDivisionError):
            await job.run_async()
        RUNNING["broken_after"] = None
        report = await job.run_async()

    assert sorted(RUNNING["handled"]) == sorted(ids)
    assert (report.acknowledged, report.fetched, report.skipped) == (12, 5, 7)


@pytest.mark.parametrize("name", ["a/b", "../x", "", "a\nb", "n" * 101, 7])
def test_name_that_is_a_path_is_refused(name, tmp_path):
    common = {"ids": IDS, "open_manager": open_manager, "name": name}
    with pytest.raises(InvalidArgumentError, match="name must be"):
        FetchJob(**common, handle=handle)
    with pytest.raises(InvalidArgumentError, match="name must be"):
        CopyJob(**common, into=str(tmp_path))
    with pytest.raises(InvalidArgumentError, match="name must be"):
        StoreCheckpoint(MemoryStore(), name, IDS)


@pytest.mark.asyncio
async def test_copy_refuses_a_checkpoint_that_is_a_path(tmp_path):
    async with PersonaClient("key") as client:
        with pytest.raises(InvalidArgumentError, match="checkpoint must be"):
            client.copy(["inq_1"], into=tmp_path / "people", checkpoint="../x")


def keep(fetched):
    RUNNING["handled"].append(fetched.id)


@pytest.mark.asyncio
async def test_job_that_does_something_else_is_refused_when_objects_are_done(tmp_path):
    async with Sandbox(rate_limit=None) as sandbox:
        ids = [sandbox.add_inquiry().id for _ in range(2)]
        RUNNING.update(sandbox=sandbox, store=MemoryStore(), handled=[])
        common = {
            "ids": ids,
            "open_manager": open_running_manager,
            "open_store": open_running_store,
        }
        await FetchJob(**common, handle=keep).run_async()
        again = await FetchJob(**common, handle=keep).run_async()
        into = str(tmp_path)
        others = [
            FetchJob(**common, handle=handle),
            CopyJob(**common, into=into),
        ]
        for other in others:
            with pytest.raises(CheckpointMismatchError, match="in another way"):
                await other.run_async()
        await CopyJob(**common, name="copy", into=into).run_async()
        with pytest.raises(CheckpointMismatchError, match="in another way"):
            await FetchJob(**common, name="copy", handle=keep).run_async()

    assert again.skipped == 2


@pytest.mark.parametrize("has_store", [True, False])
@pytest.mark.asyncio
async def test_copy_job_copies_what_its_folder_lacks(tmp_path, has_store):
    async with Sandbox(rate_limit=None) as sandbox:
        ids = [sandbox.add_inquiry().id for _ in range(2)]
        RUNNING.update(sandbox=sandbox, store=MemoryStore())
        job = CopyJob(
            ids=ids,
            open_manager=open_running_manager,
            open_store=open_running_store if has_store else None,
            into=str(tmp_path / "people"),
            name="copy",
        )
        runs = [
            ({"refresh": True}, 2),
            ({}, 0),
            ({"pdf": True}, 2),
            ({"follow": ("case",), "refresh": True}, 2),
            ({"follow": ("case",)}, 0),
            ({"pdf": True}, 2),
            ({"into": str(tmp_path / "other")}, 2),
        ]
        for changes, expected in runs:
            again = evolve(job, **changes)
            report = await again.run_async()

            assert (report.fetched, report.skipped) == (expected, 2 - expected)
            assert (report.acknowledged, report.failed) == (2, 0)
            assert verify_copy(again.into, ids).problems == ()
            assert pdfs_in(again.into) >= {*ids} if again.pdf else True
        shutil.rmtree(tmp_path / "people" / ids[0])
        restored = await job.run_async()

    assert (restored.fetched, restored.skipped) == (1, 1)
    assert verify_copy(job.into, ids).problems == ()


def pdfs_in(folder):
    """Return the ids of the objects whose PDF is in a copy."""
    return {each.stem for each in Path(folder).rglob("*.pdf")}


@pytest.mark.asyncio
async def test_unchanged_people_are_acknowledged(tmp_path):
    async with Sandbox(rate_limit=None) as sandbox:
        ids = [sandbox.add_inquiry().id for _ in range(2)]
        job = CopyJob(
            ids=ids,
            open_manager=open_running_manager,
            open_store=open_running_store,
            into=str(tmp_path),
        )
        RUNNING.update(sandbox=sandbox, store=MemoryStore())
        await job.run_async()
        RUNNING.update(store=MemoryStore())
        refreshed = await evolve(job, refresh=True).run_async()
        again = await job.run_async()

    assert (refreshed.acknowledged, again.acknowledged, again.skipped) == (2, 2, 2)


@pytest.mark.asyncio
async def test_record_without_a_request_is_continued():
    store = MemoryStore()
    earlier = StoreCheckpoint(store, "one", IDS)
    await earlier.open()
    await earlier.record(IDS[:3])
    checkpoint = StoreCheckpoint(store, "one", IDS, requested="fetch handle")
    await checkpoint.open()

    assert await checkpoint.known(IDS) == {*IDS[:3]}
    with pytest.raises(CheckpointMismatchError):
        await StoreCheckpoint(store, "one", IDS, requested="fetch another").open()
