"""Copies of whole people: complete on the disk or not done, against the sandbox."""

import asyncio
import json

import pytest

from persona_share import Failed, Scope
from persona_share.batch import shard, verify_copy
from persona_share.errors import (
    CheckpointInUseError,
    CodeRefusedError,
    CodeSourceError,
    InvalidArgumentError,
    NotFoundError,
    NotOpenError,
    PermissionDeniedError,
    UsageError,
)
from persona_share.partner import PartnerCodeSource
from persona_share.partner.keys import SigningKey


pytestmark = pytest.mark.asyncio


def person(sandbox):
    """A person with an account, two verifications, a report and a document."""
    inquiry = sandbox.add_inquiry(account=sandbox.add_account().id).id
    for kind in ("government-id", "selfie"):
        sandbox.add_verification(inquiry=inquiry, kind=kind)
    sandbox.add_report(inquiry=inquiry)
    sandbox.add_document(inquiry=inquiry)
    return inquiry


async def copied(manager, ids, folder, **options):
    async with manager.copy(ids, into=folder, **options) as copy:
        outcomes = [each async for each in copy]
    return outcomes, copy.report()


async def test_each_person_is_copied_to_one_folder(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(5)]
    async with scenario.manager() as manager:
        outcomes, report = await copied(manager, ids, tmp_path / "copy")
    folder = tmp_path / "copy" / ids[0]
    manifest = json.loads((folder / "manifest.json").read_text())

    assert {each.id for each in outcomes} == {*ids}
    assert (report.copied, report.failed, report.objects) == (5, 0, 5 * 6)
    assert json.loads((folder / "inquiry.json").read_text())["id"] == ids[0]
    assert len([*(folder / "verifications").iterdir()]) == 2
    assert {each["status"] for each in manifest["relationships"].values()} == {
        "copied",
        "none",
    }
    for each in manifest["files"]:
        assert (folder / each["path"]).stat().st_size == each["size"]
        assert each["sha256"]
    suffixes = {each.suffix for each in (folder / "files").iterdir()}
    assert suffixes == {".png", ".pdf"}
    assert "access_token" not in (folder / "manifest.json").read_text()
    assert verify_copy(tmp_path / "copy").problems == ()
    assert report.files == sum(len(each.files) for each in outcomes)


async def test_report_and_progress_describe_both_stages(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(4)]
    async with (
        scenario.manager() as manager,
        manager.copy(ids, into=tmp_path / "copy") as copy,
    ):
        await anext(copy)
        scenario.clock.advance(30)
        progress = copy.progress()
        assert [each async for each in copy]
        scenario.clock.advance(5)  # after the last one

    left = 30 * (4 - progress.done) / progress.done
    assert copy.report().seconds == 30
    assert progress.rate == progress.done / 30
    assert progress.left_for.total_seconds() == pytest.approx(left)


async def test_batch_requests_few_codes(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(20)]
    async with scenario.manager() as manager:
        await copied(manager, ids, tmp_path / "copy")

    # 20 inquiries share one code, and their 100 related objects one or two.
    assert scenario.authorized <= 4


async def test_relationship_is_reported_as_not_covered_when_it_is_not_shared(
    scenario, tmp_path
):
    ids = [person(scenario.sandbox) for _ in range(3)]
    scenario.sandbox.switches.grants = lambda scope: " ".join(
        each for each in scope.split() if not each.startswith("account")
    )
    async with scenario.manager() as manager:
        outcomes, report = await copied(
            manager, ids, tmp_path / "copy", follow=("verifications", "account", "odd")
        )

    assert report.copied == 3
    for each in outcomes:
        assert each.relationships["account"].status == "not covered"
        assert each.relationships["odd"].status == "not in the response"
        assert len(each.related("verifications")) == 2


@pytest.mark.parametrize(
    "failure",
    [
        CodeSourceError("no connection", reason="OSError"),
        PermissionDeniedError("the source's key has expired"),
        RuntimeError("a mistake"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_person_fails_when_the_code_source_fails_for_its_related_objects(
    scenario, tmp_path, failure
):
    ids = [person(scenario.sandbox) for _ in range(2)]

    async def codes(scope):
        if ids[0] in scope.object_ids():
            return await scenario.ask_partner(scope)
        raise failure

    async with scenario.manager(codes=codes) as manager:
        outcomes, report = await scenario.advance_until_done(
            copied(manager, ids, tmp_path / "copy", follow=("verifications",))
        )
        again, _ = await copied(manager, ids, tmp_path / "copy", follow=())

    assert (report.copied, report.failed) == (0, 2)
    assert {type(each.error) for each in outcomes} == {CodeSourceError}
    assert [*(tmp_path / "copy").glob("*/manifest.json")] != []
    assert len(again) == 2  # nothing was acknowledged


@pytest.mark.parametrize("batch", ["fetch", "copy"])
async def test_code_source_that_was_not_entered_stops_the_batch_at_once(
    scenario, tmp_path, batch
):
    codes = PartnerCodeSource(
        "http://127.0.0.1:1/codes", client_id="org_1", key=SigningKey.generate("ES256")
    )
    async with scenario.manager(codes=codes) as manager:
        started = scenario.clock.now()
        with pytest.raises(NotOpenError, match="PartnerCodeSource was not entered"):
            async with getattr(manager, batch)([person(scenario.sandbox)]) as outcomes:
                await anext(outcomes)
    assert scenario.clock.now() == started


async def test_mistake_in_a_code_source_stops_a_copy_without_a_pause(
    scenario, tmp_path
):
    ids = [person(scenario.sandbox) for _ in range(8)]

    async def codes():
        raise AssertionError

    async with scenario.manager(codes=codes) as manager:
        started = scenario.clock.now()
        copying = copied(manager, ids, tmp_path / "copy", objects_per_token=2)
        with pytest.raises(CodeSourceError, match="TypeError"):
            await copying
    assert scenario.clock.now() == started


async def test_second_run_copies_nothing_again(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(4)]
    async with scenario.manager() as manager:
        await copied(manager, ids[:3], tmp_path / "copy")
        scenario.sandbox.log.clear()
        outcomes, report = await copied(manager, ids, tmp_path / "copy")

    assert [each.id for each in outcomes] == ids[3:]
    assert (report.copied, report.skipped) == (1, 3)


async def test_person_is_copied_again_when_the_folder_is_missing(scenario, tmp_path):
    (inquiry,) = [person(scenario.sandbox)]
    async with scenario.manager() as manager:
        await copied(manager, [inquiry], tmp_path / "copy")
        (tmp_path / "copy" / inquiry / "manifest.json").unlink()
        _, report = await copied(manager, [inquiry], tmp_path / "copy")

    assert report.copied == 1
    assert verify_copy(tmp_path / "copy").problems == ()


async def test_refresh_copies_people_again_whose_inquiry_has_changed(
    scenario, tmp_path
):
    ids = [person(scenario.sandbox) for _ in range(3)]
    async with scenario.manager() as manager:
        await copied(manager, ids, tmp_path / "copy", files=False)
        scenario.clock.advance(60)
        await scenario.source.inquiries.update(ids[1], note="changed")
        outcomes, report = await copied(
            manager, ids, tmp_path / "copy", files=False, refresh=True
        )

    assert (report.copied, report.unchanged) == (1, 2)
    assert [each.id for each in outcomes if not each.unchanged] == [ids[1]]


async def test_refresh_copies_a_person_again_when_a_refused_object_is_shared(
    scenario, tmp_path
):
    ids = [person(scenario.sandbox) for _ in range(3)]
    options = {"files": False, "follow": ("verifications", "account")}
    scenario.sandbox.switches.grants = lambda scope: " ".join(
        each for each in scope.split() if not each.startswith("account")
    )
    async with scenario.manager() as manager:
        first, _ = await copied(manager, ids, tmp_path / "copy", **options)
        scenario.sandbox.log.clear()
        _, still_refused = await scenario.advance_until_done(
            copied(manager, ids, tmp_path / "copy", refresh=True, **options)
        )
        requests = [each.operation for each in scenario.sandbox.log]
        scenario.sandbox.switches.grants = lambda scope: " ".join(
            each
            for each in scope.split()
            if not each.startswith("account") or each.endswith(accounts[0])
        )
        accounts = [
            next(iter(each.relationships["account"].missing)).id for each in first
        ]
        outcomes, report = await scenario.advance_until_done(
            copied(manager, ids, tmp_path / "copy", refresh=True, **options)
        )

    assert (still_refused.copied, still_refused.unchanged) == (0, 3)
    assert not any("verifications" in each for each in requests)
    assert (report.copied, report.unchanged, report.failed) == (1, 2, 0)
    again = next(each for each in outcomes if not each.unchanged)
    assert again.related("account")[0].id == accounts[0]
    assert len(again.related("verifications")) == 2
    assert verify_copy(tmp_path / "copy").problems == ()


@pytest.mark.parametrize("refresh", [False, True])
async def test_pdfs_are_added_when_they_are_requested_later(
    scenario, tmp_path, refresh
):
    ids = [person(scenario.sandbox) for _ in range(2)]
    async with scenario.manager() as manager:
        await copied(manager, ids, tmp_path / "copy")
        options = {"pdf": True, "refresh": refresh}
        outcomes, added = await copied(manager, ids, tmp_path / "copy", **options)
        _, again = await copied(manager, ids, tmp_path / "copy", **options)

    assert (added.copied, again.copied) == (2, 0)
    for each in outcomes:
        assert (each.folder / "files" / f"{each.id}.pdf").is_file()


async def test_people_fail_one_by_one_when_their_files_are_gone(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(3)]
    async with scenario.manager() as manager:
        scenario.sandbox.faults.answer("GET (file)", 404, times=None)
        outcomes, report = await copied(manager, ids, tmp_path / "copy")
        scenario.sandbox.faults.clear()
        _, second = await copied(manager, ids, tmp_path / "copy")

    assert all(isinstance(each.error, NotFoundError) for each in outcomes)
    assert (report.failed, second.copied, second.skipped) == (3, 3, 0)
    assert verify_copy(tmp_path / "copy").problems == ()


async def test_verify_finds_every_kind_of_damage(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(3)]
    folder = tmp_path / "copy"
    async with scenario.manager() as manager:
        await copied(manager, ids, folder)
    (folder / ids[0] / "inquiry.json").write_bytes(b"{}")
    file = next((folder / ids[1] / "files").iterdir())
    content = file.read_bytes()
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    (folder / ids[1] / "added").touch()
    (folder / ids[2] / "manifest.json").unlink()
    report = verify_copy(folder, ["inq_absent", *ids])
    problems = report.problems

    assert (report.people, report.objects, report.files) == (3, 2 * 6, 2 * 4)
    assert len(problems) == 5
    assert "inq_absent: missing" in problems
    for word in ("bytes instead of", "content has changed", "not in the", "missing"):
        assert any(word in each for each in problems)


async def test_report_and_verification_count_the_same(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(3)]
    async with scenario.manager() as manager:
        _, report = await copied(manager, ids, tmp_path / "copy", pdf=True)
    verified = verify_copy(tmp_path / "copy")

    assert (verified.objects, verified.files) == (report.objects, report.files)


async def test_verify_raises_an_error_of_the_library_without_a_folder(tmp_path):
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(InvalidArgumentError, match="cannot be read as a folder"):
            verify_copy(tmp_path / name)


async def test_ids_are_read_from_an_open_text_file(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(3)]
    (tmp_path / "ids").write_text("\n".join(["", *ids, ""]), "utf-8")
    async with scenario.manager() as manager:
        with (tmp_path / "ids").open(encoding="utf-8") as lines:
            _, report = await copied(manager, lines, tmp_path / "copy", files=False)
        with (tmp_path / "ids").open("rb") as binary:
            with pytest.raises(InvalidArgumentError, match="binary mode"):
                manager.copy(binary, into=tmp_path / "copy")
            with pytest.raises(InvalidArgumentError, match="binary mode"):
                shard(binary, 2)
    with (tmp_path / "ids").open(encoding="utf-8") as lines:
        assert verify_copy(tmp_path / "copy", lines).problems == ()

    assert (report.copied, report.failed) == (3, 0)


async def test_person_fails_when_the_inquiry_is_refused(scenario, tmp_path):
    ids = [person(scenario.sandbox) for _ in range(3)]

    async def codes(scope):
        refused = Scope.read(ids[1])
        if refused <= scope:
            raise CodeRefusedError("not this one", refused=refused)
        return await scenario.ask_partner(scope)

    async with scenario.manager(codes=codes) as manager:
        outcomes, report = await copied(manager, ids, tmp_path / "copy", files=False)

    assert [each.id for each in outcomes if isinstance(each, Failed)] == [ids[1]]
    assert (report.copied, report.failed) == (2, 1)


async def test_second_copy_into_a_folder_is_refused(scenario, tmp_path):
    async with (
        scenario.manager() as manager,
        manager.copy([person(scenario.sandbox)], into=tmp_path / "copy") as copy,
    ):
        with pytest.raises(CheckpointInUseError, match="in use by another"):
            await copied(manager, ["inq_1"], tmp_path / "copy")
        assert [each.id async for each in copy]


async def test_people_are_yielded_without_a_folder(scenario):
    inquiry = person(scenario.sandbox)
    async with scenario.manager() as manager:
        (found,) = [each async for each in manager.copy([inquiry])]

    assert found.folder is None
    assert len(found.related("reports")) == 1


async def test_invalid_argument_is_refused(scenario):
    async with scenario.manager() as manager:
        for options in ({"follow": "verifications"}, {"refresh": True}):
            with pytest.raises(InvalidArgumentError):
                manager.copy(["inq_1"], **options)


async def test_generated_people_with_documents_are_copied_with_them(scenario, tmp_path):
    scenario.sandbox.populate(1, documents=True)
    scenario.sandbox.reset()
    ids = scenario.sandbox.describe()["inquiries"]
    async with scenario.manager() as manager:
        (found,), report = await copied(manager, ids, tmp_path / "copy")

    statuses = {name: each.status for name, each in found.relationships.items()}
    assert statuses["documents"] == statuses["reports"] == "copied"
    assert (report.objects, report.files) == (6, 4)


async def test_task_that_waits_for_a_person_ends_when_the_copy_is_closed(scenario):
    async def endless():
        yield person(scenario.sandbox)
        await asyncio.Event().wait()

    async with scenario.manager() as manager:
        copy = manager.copy(endless())
        await scenario.advance_until_done(anext(copy))
        waiting = asyncio.ensure_future(outcomes_of(copy))
        await asyncio.wait({waiting}, timeout=0.02)
        with pytest.raises(UsageError, match="another task"):
            await asyncio.wait_for(anext(copy), 5)
        await copy.aclose()

        assert await asyncio.wait_for(waiting, 5) == []


async def outcomes_of(copy):
    return [each async for each in copy]
