"""A copy trusts no manifest before it has checked it, and ends when it is dropped."""

import asyncio
import errno
import gc
import json
import random  # noqa: TID251  # seeded
import shutil
import weakref
from contextlib import suppress

import attrs
import orjson
import pytest
import pytest_asyncio

from persona_share import Failed, PersonaClient, Scope
from persona_share.batch import VerifyReport, verify_copy
from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.batch.copy import CHECKPOINT
from persona_share.batch.groups import DirectPlanner, Group
from persona_share.batch.manifests import CopyRequest, read_manifest
from persona_share.batch.saving import Disk
from persona_share.errors import (
    InvalidArgumentError,
    MalformedResponseError,
    NotFoundError,
)
from tests.batch import saved
from tests.batch.conftest import Kit, no_tasks_left


PERSON = "inq_1"
#: Values of every kind in place of the right one.
VALUES = (
    *(None, True, -1, 2**70, 1.5, "", "x", [], [None], {}, {"x": [1]}, [[]]),
    *("../../escape", "/etc/passwd", "files/..", "nul\0", "files/./x", "\ud83d\ude00"),
)


@pytest_asyncio.fixture
async def copied(kit, tmp_path):
    """Return the folder of a copy of one person."""
    await run(saved.new_copy(tmp_path, Disk(), kit, [PERSON]))
    return tmp_path


async def run(copy):
    """Run a copy to its end, and return its report."""
    async with copy:
        async for each in copy:
            assert not isinstance(each, Failed)
    return copy.report()


def places_in(value, path=()):
    """Yield the path of every value in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places_in(value[key], (*path, key))


def changed(manifest, rng):
    """Return the bytes of a manifest with one thing changed."""
    content = orjson.dumps(manifest)
    kind = rng.choice(["value", "value", "value", "missing", "cut", "bytes", "whole"])
    if kind == "cut":
        return content[: rng.randrange(len(content))]
    if kind == "bytes":
        place = rng.randrange(len(content))
        return content[:place] + rng.randbytes(3) + content[place + 3 :]
    if kind == "whole":
        other = rng.choice(VALUES)
        return rng.choice(
            [b"NaN", b"[" * 5_000, b"\xff\xfe", json.dumps(other).encode()]
        )
    found = orjson.loads(content)
    *outer, last = rng.choice([*places_in(found)])
    inner = found
    for key in outer:
        inner = inner[key]
    if kind == "missing":
        del inner[last]
    else:
        inner[last] = rng.choice(VALUES)
    return json.dumps(found).encode()


@pytest.mark.asyncio
async def test_damaged_manifest_is_reported_and_repaired(kit, copied):
    path = copied / PERSON / "manifest.json"
    valid, reported = orjson.loads(path.read_bytes()), 0
    for seed in range(400):
        path.write_bytes(changed(valid, random.Random(seed)))  # noqa: S311  # seeded
        reported += bool(verify_copy(copied).problems)
        if seed % 8 == 0:
            options = {"refresh": True, "verify": True}
            report = await run(saved.new_copy(copied, Disk(), kit, [PERSON], **options))

            assert report.copied + report.unchanged == 1
            assert verify_copy(copied).problems == ()

    assert reported > 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("version", x) for x in (2, None, "1")],
        *[(x, 7) for x in ("id", "type", "updated_at", "copied_at", "relationships")],
        *[("files", x) for x in ({}, [1], [{}], None)],
        *[("requested", x) for x in ([], {"follow": "x", "files": 1, "pdf": 1})],
    ],
)
@pytest.mark.asyncio
async def test_manifest_of_another_shape_is_damaged(copied, name, value):
    path = copied / PERSON / "manifest.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), name: value}))

    assert verify_copy(copied).problems == (
        f"{PERSON}: the manifest is missing or damaged",
    )


@pytest.mark.parametrize("outside", ["../outside", "/etc/hostname", "files/../../x"])
@pytest.mark.asyncio
async def test_manifest_that_names_a_file_outside_is_damaged(copied, outside):
    path = copied / PERSON / "manifest.json"
    manifest = orjson.loads(path.read_bytes())
    manifest["files"][0]["path"] = outside
    path.write_bytes(orjson.dumps(manifest))

    assert verify_copy(copied).problems == (
        f"{PERSON}: the manifest is missing or damaged",
    )


@pytest.mark.parametrize("name", ["inquiry.json", "files"])
@pytest.mark.asyncio
async def test_link_in_place_of_a_file_is_reported(copied, name):
    (copied / PERSON / name).rename(copied / ".elsewhere")
    (copied / PERSON / name).symlink_to(copied / ".elsewhere")

    assert any(name in each for each in verify_copy(copied).problems)


@pytest.mark.asyncio
async def test_renamed_folder_is_reported_and_copied_again(kit, copied):
    (copied / PERSON).rename(copied / "inq_2")
    problems = verify_copy(copied).problems
    again = await run(saved.new_copy(copied, Disk(), kit, ["inq_2"], refresh=True))

    assert problems == ("inq_2: the folder of another person",)
    assert again.copied == 1
    assert verify_copy(copied, ["inq_2"]).problems == ()


@pytest.mark.parametrize("refresh", [False, True])
@pytest.mark.asyncio
async def test_person_is_copied_again_when_a_file_is_in_place_of_the_folder(
    kit, copied, refresh
):
    shutil.rmtree(copied / PERSON)
    (copied / PERSON).write_text("in the way")
    await run(saved.new_copy(copied, Disk(), kit, [PERSON], refresh=refresh))

    assert verify_copy(copied, [PERSON]).problems == ()


@pytest.mark.parametrize("refresh", [False, True])
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.asyncio
async def test_person_is_copied_again_when_more_is_requested(
    kit, tmp_path, refresh, recorded
):
    less = CopyRequest(follow=(), files=False, pdf=False)
    requests = [
        (less, 1),
        (less, 0),
        (CopyRequest(follow=("verifications",), files=False, pdf=False), 1),
        (CopyRequest(follow=(), files=True, pdf=False), 1),
        (CopyRequest(follow=("verifications",), files=True, pdf=False), 1),
        (less, 0),
    ]
    for request, expected in requests:
        options = {"request": request, "refresh": refresh}
        copy = saved.new_copy(tmp_path, Disk(), kit, [PERSON], **options)
        report = await run(copy)

        assert (report.copied, report.unchanged + report.skipped) == (
            expected,
            1 - expected,
        )
        if not recorded:  # as copies of earlier versions
            path = tmp_path / PERSON / "manifest.json"
            manifest = orjson.loads(path.read_bytes())
            path.write_bytes(orjson.dumps({**manifest, "requested": None, "pdf": None}))


@pytest.mark.parametrize("refresh", [False, True])
@pytest.mark.asyncio
async def test_person_who_is_named_twice_is_copied_once(kit, tmp_path, refresh):
    ids = [PERSON, PERSON, "inq_2", PERSON]
    report = await run(saved.new_copy(tmp_path, Disk(), kit, ids, refresh=refresh))

    assert (report.copied, report.skipped) == (2, 2)
    assert verify_copy(tmp_path, ids).problems == ()


@pytest.mark.asyncio
async def test_object_in_two_relationships_has_its_files_once(kit, tmp_path):
    request = CopyRequest(follow=("verifications", "reports"), files=True, pdf=False)
    same = {"data": [{"type": "verification/selfie", "id": f"ver_1{x}"} for x in "ab"]}
    changes = {"relationships": {"verifications": same, "reports": same}}
    copy = saved.new_copy(
        tmp_path, Disk(), kit, [PERSON], changes=changes, request=request
    )
    report = await run(copy)

    assert (report.copied, report.files) == (1, 3)
    assert verify_copy(tmp_path) == VerifyReport(
        people=1, objects=5, files=3, problems=()
    )


@pytest.mark.asyncio
async def test_person_with_a_malformed_relationship_fails_alone(kit, tmp_path):
    ids = [PERSON, "inq_2", "inq_3"]
    changes = {"relationships": {"verifications": {"data": "x"}}}
    async with saved.new_copy(tmp_path, Disk(), kit, ids, changes=changes) as copy:
        found = {each.id: getattr(each, "error", None) async for each in copy}

    assert {each for each in ids if found[each] is not None} == {PERSON}
    assert isinstance(found[PERSON], MalformedResponseError)
    assert verify_copy(tmp_path, ids).problems == (f"{PERSON}: missing",)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "manifest"},
        {"type": "Manifest/x"},
        *[{"attributes": {"updated-at": x}} for x in (2**70, 7, ["x"], {}, None)],
    ],
)
@pytest.mark.asyncio
async def test_copy_of_an_unusual_person_is_complete(kit, tmp_path, changes):
    await run(saved.new_copy(tmp_path, Disk(), kit, [PERSON], changes=changes))
    again = await run(saved.new_copy(tmp_path, Disk(), kit, [PERSON]))

    assert verify_copy(tmp_path, [PERSON]).problems == ()
    assert "manifest.json" not in read_manifest(tmp_path / PERSON)["files"][0]["path"]
    assert again.skipped == 1


@pytest.mark.parametrize("follow", [["../up"], ["a/b"], [""], ["reports", 7]])
@pytest.mark.asyncio
async def test_relationship_that_cannot_be_a_folder_is_refused(tmp_path, follow):
    async with PersonaClient("key") as client:
        with pytest.raises(InvalidArgumentError, match="follow must be names"):
            client.copy([PERSON], into=tmp_path, follow=follow)


@pytest.mark.parametrize("checkpoint", [None, "shard"])
@pytest.mark.asyncio
async def test_only_leftovers_of_copies_are_removed(kit, tmp_path, checkpoint):
    others = {".notes.old", ".draft.part", ".my_notes.old", ".part", ".old"}
    for each in others:
        (tmp_path / each).write_text(each)
    for each in (f".{PERSON}.part", f".{PERSON}.1a.part", ".inq_2.1a.old"):
        (tmp_path / each).mkdir()
    ids = [PERSON, "inq_2"]
    await run(saved.new_copy(tmp_path, Disk(), kit, ids, checkpoint=checkpoint))

    found = {each.name for each in tmp_path.iterdir()}
    found -= {*saved.OTHERS, ".checkpoint-shard"}
    assert found == {*others, PERSON, "inq_2"}
    assert all((tmp_path / each).read_text() == each for each in others)


@pytest.mark.asyncio
async def test_leftovers_of_a_person_who_has_not_changed_are_removed(kit, tmp_path):
    people = {"ids": [PERSON], "checkpoint": "shard"}
    await run(saved.new_copy(tmp_path, Disk(), kit, **people))
    (tmp_path / f".{PERSON}.1a.part").mkdir()
    copy = saved.new_copy(tmp_path, Disk(), Kit(), **people, refresh=True)

    assert (await run(copy)).unchanged == 1
    assert [each for each in tmp_path.iterdir() if each.suffix == ".part"] == []


class ContestedDisk(Disk):
    """A disk on which something happens before a folder first gets its final name."""

    def __init__(self, happens):
        self.happens = happens

    def replace(self, source, target):
        if target.name == PERSON and (happens := self.happens):
            self.happens = None
            happens(target)
        super().replace(source, target)


@pytest.mark.asyncio
async def test_copy_that_another_worker_completes_first_is_replaced(kit, tmp_path):
    def complete(folder):
        folder.mkdir()
        (folder / "manifest.json").write_text("of another worker")

    report = await run(saved.new_copy(tmp_path, ContestedDisk(complete), kit, [PERSON]))

    assert report.copied == 1
    assert verify_copy(tmp_path, [PERSON]).problems == ()
    assert {each.name for each in tmp_path.iterdir()} - saved.OTHERS == {PERSON}


@pytest.mark.asyncio
async def test_copy_that_cannot_be_replaced_stays_as_it_is(kit, tmp_path):
    def fail(folder):
        raise OSError(errno.EIO, "the disk fails", str(folder))

    await run(saved.new_copy(tmp_path, Disk(), kit, [PERSON]))
    before = (tmp_path / PERSON / "manifest.json").read_bytes()
    newer = {"attributes": {"updated-at": "2026-02-02T00:00:00.000Z"}}.items()
    options = {"changes": newer, "refresh": True}
    with pytest.raises(OSError, match="the disk fails"):
        await run(
            saved.new_copy(tmp_path, ContestedDisk(fail), Kit(), [PERSON], **options)
        )

    assert (tmp_path / PERSON / "manifest.json").read_bytes() == before
    assert verify_copy(tmp_path, [PERSON]).problems == ()
    assert {each.name for each in tmp_path.iterdir()} - saved.OTHERS == {PERSON}


@pytest.mark.parametrize("turns", range(0, 60, 6))
@pytest.mark.asyncio
async def test_two_workers_may_copy_the_same_people(tmp_path, turns):
    began, both = set(), asyncio.Event()

    async def copy(name, turns):
        async def wait_for_the_other():
            began.add(name)
            if len(began) == 2:
                both.set()
            await both.wait()
            for _ in range(turns):
                await asyncio.sleep(0)  # noqa: TID251  # the other one's turn

        kit, disk = Kit(), saved.FastDisk()
        kit.objects.before = wait_for_the_other
        return await run(saved.new_copy(tmp_path, disk, kit, checkpoint=name))

    first, second = await asyncio.gather(copy("first", 0), copy("second", turns))

    assert first.copied == second.copied == len(saved.PEOPLE)
    assert verify_copy(tmp_path, saved.PEOPLE).problems == ()


class WaitingDownloads(saved.FakeDownloads):
    """Downloads of which one waits; each has arrived when it is requested."""

    def __init__(self):
        self.arrived, self.released = asyncio.Event(), asyncio.Event()

    def download(self, object_id, attribute, url, batch):
        found = super().download(object_id, attribute, url, batch)
        return found if object_id != "ver_1b" else Waiting(found, self)


@attrs.frozen
class Waiting:
    download: object
    downloads: object

    async def into(self, sink):
        self.downloads.arrived.set()
        await self.downloads.released.wait()
        await self.download.into(sink)


@pytest.mark.asyncio
async def test_worker_that_was_replaced_changes_nothing_more(kit, tmp_path):
    downloads = WaitingDownloads()
    copy = saved.new_copy(
        tmp_path, Disk(), kit, [PERSON], downloads=downloads, checkpoint="first"
    )
    replaced = asyncio.create_task(run(copy))
    await downloads.arrived.wait()
    await run(saved.new_copy(tmp_path, Disk(), Kit(), [PERSON], checkpoint="second"))
    downloads.released.set()
    with pytest.raises(FileNotFoundError):
        await replaced

    assert verify_copy(tmp_path, [PERSON]).problems == ()
    assert [each for each in tmp_path.iterdir() if each.suffix == ".part"] == []


class FailingDownloads(saved.FakeDownloads):
    """Downloads of which one ends with an error."""

    def __init__(self, error):
        self.error = error

    def download(self, object_id, attribute, url, batch):
        if object_id == "ver_1b":
            return self
        return super().download(object_id, attribute, url, batch)

    async def into(self, sink):
        await sink.begin({})
        await sink.write(b"x" * 2**20)
        raise self.error


@pytest.mark.parametrize(
    "error", [NotFoundError("gone", status=404), OSError(errno.ENOSPC, "full")]
)
@pytest.mark.asyncio
async def test_nothing_is_left_of_a_person_who_fails(kit, tmp_path, error):
    downloads = FailingDownloads(error)
    copy = saved.new_copy(tmp_path, Disk(), kit, [PERSON], downloads=downloads)
    async with copy:
        with suppress(OSError):
            assert [each.error.status async for each in copy] == [404]

    assert {each.name for each in tmp_path.iterdir()} <= saved.OTHERS


class GroupPlanner(DirectPlanner):
    """Gives every object a token of its own."""

    async def items(self, object_ids, *, regrouped):
        async for each in super().items(object_ids, regrouped=regrouped):
            each.group = Group(Scope.of("inquiry.read", "inq_1"), 1, owns_token=True)
            yield each


@pytest.mark.asyncio
async def test_shared_object_keeps_its_scope_for_the_second_person(kit, tmp_path):
    ids, scopes = ["inq_1", "inq_2"], []

    class Downloads(saved.FakeDownloads):
        def print_pdf(self, object_id, batch):
            scopes.append((object_id, batch.scope_of(object_id)))

    late = kit.objects.hold("ver_2b")
    copy = saved.new_copy(
        tmp_path,
        Disk(),
        kit,
        ids,
        planner=GroupPlanner,
        downloads=Downloads(),
        shared=["ver_shared"],
        request=CopyRequest(follow=("verifications",), files=True, pdf=True),
    )
    async with copy:
        first = await anext(copy)
        late.set()
        second = await anext(copy)

    assert [first.id, second.id] == ids
    assert [each for each, _ in scopes].count("ver_shared") == 2
    assert [each for each, scope in scopes if scope is None] == []


@pytest.mark.asyncio
async def test_copy_that_is_dropped_ends_and_releases_its_folder(kit, tmp_path):
    requested = asyncio.Event()

    async def never():
        requested.set()
        await asyncio.Event().wait()

    kit.objects.held["ver_1b"] = never
    copy = saved.new_copy(tmp_path, Disk(), kit, [PERSON])
    waiting = asyncio.ensure_future(anext(copy))
    await requested.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    dropped = weakref.ref(copy)
    del copy, waiting
    gc.collect()
    await kit.settle()
    checkpoint = SQLiteCheckpoint(tmp_path / CHECKPOINT)
    await checkpoint.open()  # raises if it is in use
    checkpoint.close()

    assert dropped() is None
    assert no_tasks_left()
