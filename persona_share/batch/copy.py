"""Copies: whole people, with their related objects and files, one folder each.

A person is an inquiry (or any other object) with the objects that it is related to. A
person is complete when every object and file is on the disk; a manifest in the folder
says what belongs to it.
"""

import asyncio
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import anyio
import attrs
import orjson
from anyio import to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from persona_share._protocol.json import dump_json
from persona_share._transport.private_files import make_folder, open_private
from persona_share.batch.batch import Batch
from persona_share.batch.checkpoint import (
    Checkpoint,
    OutputPosition,
    SQLiteCheckpoint,
    require_name,
)
from persona_share.batch.iteration import OutcomeIterator
from persona_share.batch.manifests import (
    MANIFEST,
    VERSION,
    CopyRequest,
    damage,
    extras,
    read_manifest,
)
from persona_share.batch.saving import (
    Disk,
    DownloadSource,
    FilePool,
    Persistent,
    naming,
    stops,
    without_urls,
)
from persona_share.batch.workers import End, first_error
from persona_share.errors import (
    CodeRefusedError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    PersonaError,
    ScopeNotCoveredError,
    ScopeNotGrantedError,
)
from persona_share.model.batch import Failed, Fetched, Progress
from persona_share.model.ids import is_id, kind_of_id, resource_of
from persona_share.model.resource import Reference, Resource


#: The relationships that are followed unless others are named.
FOLLOW: Final = ("verifications", "documents", "account", "reports", "transaction")
#: The checkpoint of a copy, inside its folder.
CHECKPOINT: Final = ".checkpoint"
#: People whose related objects are on their way, at most.
_MAX_OPEN: Final = 256
#: The reason of a related object that the partner does not share.
_REFUSED: Final = "not covered"
_NOT_COVERED = (
    CodeRefusedError,
    PermissionDeniedError,
    ScopeNotCoveredError,
    ScopeNotGrantedError,
)

Status = Literal["copied", "none", "not covered", "not found", "not in the response"]


@attrs.frozen(kw_only=True)
class Relationship:
    """The result for one relationship of a person.

    ``missing`` are the references that were not copied, with the reason: "not covered"
    by what the partner shares, or "not found".
    """

    status: Status
    objects: tuple[Resource, ...] = ()
    missing: Mapping[Reference, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Person:
    """A complete person.

    ``folder`` is where it was written, if it was. ``unchanged`` is set if an earlier
    copy is still right.
    """

    id: str
    resource: Resource
    relationships: Mapping[str, Relationship] = attrs.field(factory=dict)
    folder: Path | None = None
    files: tuple[Path, ...] = ()
    unchanged: bool = False

    def related(self, name: str) -> tuple[Resource, ...]:
        """Return the copied objects of a relationship."""
        found = self.relationships.get(name)
        return () if found is None else found.objects


@attrs.frozen(kw_only=True)
class CopyReport:
    """The results of a copy so far.

    ``objects`` counts the JSON files of the people copied in this run, ``files`` their
    photos, PDFs and other attachments.
    """

    copied: int
    unchanged: int
    failed: int
    skipped: int
    objects: int
    files: int
    tokens: int
    seconds: float


@attrs.frozen
class FolderCheckpoint:
    """The checkpoint of a copy: it knows people whose folder has what is requested.

    With ``refresh`` it knows none, as all are compared with their folders.
    """

    inner: Checkpoint
    into: Path
    request: CopyRequest
    refresh: bool

    async def open(self) -> None:
        """Lock the checkpoint inside; a second call does nothing."""
        await self.inner.open()

    async def known(self, object_ids: Sequence[str]) -> frozenset[str]:
        """Return those ids that were acknowledged and whose folder is complete."""
        if self.refresh:
            return frozenset()
        known = await self.inner.known(object_ids)
        return await to_thread.run_sync(
            lambda: frozenset(each for each in known if self._is_copied(each))
        )

    def _is_copied(self, object_id: str) -> bool:
        found = read_manifest(self.into / object_id)
        if found is None or found["id"] != object_id:
            return False
        return self.request.is_covered_by(found)

    async def record(
        self, object_ids: Sequence[str], output: OutputPosition | None = None
    ) -> None:
        """Record these as acknowledged, all or none."""
        await self.inner.record(object_ids, output)

    async def output(self) -> OutputPosition | None:
        """Return the position of the output that was recorded last."""
        return await self.inner.output()

    def close(self) -> None:
        """Release the checkpoint inside; a second call does nothing."""
        self.inner.close()


@attrs.define(eq=False)
class _Open:
    """A person whose related objects are being fetched.

    ``rest`` takes the ids of the others, if only the objects that were refused before
    are asked for first: its copy is still right unless one of them is shared now.
    """

    root: Fetched[Any]
    wanted: dict[str, tuple[Reference, ...]]
    absent: tuple[str, ...]
    found: dict[str, Resource] = attrs.field(factory=dict)
    missing: dict[str, str] = attrs.field(factory=dict)
    waiting: set[str] = attrs.field(factory=set)
    failure: PersonaError | None = None
    rest: MemoryObjectSendStream[str] | None = None

    @property
    def related_ids(self) -> set[str]:
        """The ids of all related objects."""
        found = {x.id for references in self.wanted.values() for x in references}
        return found - {self.root.id}

    @property
    def is_still_refused(self) -> bool:
        """Whether none of the objects that were asked for is shared."""
        refused = all(x == _REFUSED for x in self.missing.values())
        return refused and not self.found and self.failure is None

    def add_outcome(self, outcome: Fetched[Any] | Failed) -> None:
        """Record what became of a related object."""
        self.waiting.discard(outcome.id)
        if isinstance(outcome, Fetched):
            self.found[outcome.id] = outcome.resource
        elif (reason := _reason(outcome.error)) is not None:
            self.missing[outcome.id] = reason
        else:
            self.failure = outcome.error

    def relationships(self) -> dict[str, Relationship]:
        """Return what became of each relationship."""
        result: dict[str, Relationship] = {
            name: Relationship(status="not in the response") for name in self.absent
        }
        for name, references in self.wanted.items():
            objects = [self.found[x.id] for x in references if x.id in self.found]
            missing = {
                x: self.missing[x.id] for x in references if x.id in self.missing
            }
            status: Any = "copied" if objects else "none"
            if missing:
                status = next(iter(missing.values()))
                if _REFUSED in missing.values():
                    status = _REFUSED
            result[name] = Relationship(
                status=status, objects=tuple(objects), missing=missing
            )
        return result


@attrs.frozen(kw_only=True)
class CopyContext:
    """The functions that a copy needs of its manager.

    ``roots`` and ``related`` make the batches of the two stages.
    """

    roots: Callable[[Any], Batch[Any]]
    related: Callable[[AsyncIterator[str]], Batch[Any]]
    downloads: DownloadSource
    persistent: Persistent
    wall: Callable[[], datetime]


@attrs.define(eq=False, kw_only=True)
class CopyWorker:
    """Copies people in two stages, and puts the outcomes into a queue."""

    context: CopyContext
    request: CopyRequest
    into: Path | None
    refresh: bool
    file_concurrency: int
    verify: bool = False
    checkpoint: Checkpoint | str | None = None
    disk: Disk = attrs.field(factory=Disk)
    outcomes: "asyncio.Queue[Person | Failed | End]" = attrs.field(init=False)
    _key: str = attrs.field(factory=lambda: os.urandom(6).hex(), init=False)
    #: The folders that other runs had left of each person when this one began.
    _left: dict[str, list[Path]] = attrs.field(factory=dict, init=False)
    _waiting: dict[str, list[_Open]] = attrs.field(factory=dict, init=False)
    roots: Batch[Any] = attrs.field(init=False)
    related: Batch[Any] | None = attrs.field(default=None, init=False)
    _uses: Counter[str] = attrs.field(factory=Counter, init=False)
    _pool: FilePool = attrs.field(init=False)
    _open_people: anyio.Semaphore = attrs.field(init=False)
    lock: Checkpoint | None = attrs.field(default=None, init=False)
    counts: dict[str, int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Create the batch of the first stage; nothing is sent."""
        self.outcomes = asyncio.Queue(16)
        self._open_people = anyio.Semaphore(_MAX_OPEN)
        self.counts = dict.fromkeys(("copied", "unchanged", "failed"), 0)
        self.counts |= {"objects": 0, "files": 0}
        self.lock = self._chosen_checkpoint()
        self.roots = self.context.roots(self.lock)

    def _chosen_checkpoint(self) -> Checkpoint | None:
        name, inner = "", self.checkpoint
        if isinstance(inner, str):
            name, inner = "-" + require_name("checkpoint", inner), None
        if self.into is None:
            return inner
        if inner is None:
            inner = SQLiteCheckpoint(self.into / (CHECKPOINT + name))
        return FolderCheckpoint(inner, self.into, self.request, self.refresh)

    def release_lock(self) -> None:
        """Release the folder."""
        if self.lock is not None:
            self.lock.close()

    async def run(self) -> None:
        """Copy everyone; the last outcome is an `End`."""
        error: BaseException | None = None
        try:
            await self._copy()
        except BaseExceptionGroup as group:
            error = first_error(group)
        except Exception as failure:  # noqa: BLE001  # raised to the consumer
            error = failure
        if isinstance(error, asyncio.CancelledError):
            raise error
        await self.outcomes.put(End(error))

    async def _copy(self) -> None:
        context = self.context
        self._pool = FilePool(
            context.downloads, context.persistent, self.disk, self.file_concurrency
        )
        if self.into is not None:
            await to_thread.run_sync(make_folder, self.into)
            if self.checkpoint is None:
                await to_thread.run_sync(_clean, self.into)
            else:  # another worker may use the folder
                self._left = await to_thread.run_sync(_leftovers, self.into)
        sender, receiver = anyio.create_memory_object_stream[str](_MAX_OPEN * 8)
        async with self.roots, receiver, anyio.create_task_group() as tasks:
            self.related = self.context.related(receiver)
            tasks.start_soon(self._take_related, self.related, tasks)
            async with sender:
                async for each in self.roots:
                    if isinstance(each, Failed):
                        await self._fail(each)
                        continue
                    await self._open_people.acquire()
                    await self._add(each, sender, tasks)

    async def _add(
        self,
        root: Fetched[Any],
        sender: MemoryObjectSendStream[str],
        tasks: TaskGroup,
    ) -> None:
        """Ask for the related objects of a person, unless its copy is still right."""
        try:
            person = self._new_person(root)
        except PersonaError as error:  # a relationship is malformed
            await self._fail(Failed(root.id, error))
            await self.roots.release(root.id)
            self._open_people.release()
            return
        if self.refresh and (refused := await self._refused_before(root)) is not None:
            person.waiting &= refused
            if not person.waiting:
                await self._put_unchanged(root)
                return
            person.rest = sender.clone()
        if not person.waiting:
            tasks.start_soon(self._finish, person)
        await self._request(person, sender)

    async def _request(
        self, person: _Open, sender: MemoryObjectSendStream[str]
    ) -> None:
        """Ask for the objects that a person waits for, unless another one did."""
        fresh = []
        for each in sorted(person.waiting):
            fresh += [] if each in self._waiting else [each]
            self._waiting.setdefault(each, []).append(person)
        for each in fresh:
            await sender.send(each)

    async def _put_unchanged(self, root: Fetched[Any]) -> None:
        assert self.into is not None  # noqa: S101  # refresh needs a folder
        await self._acknowledge(root.id)
        self.counts["unchanged"] += 1
        self._open_people.release()
        folder = self.into / root.id
        await self.outcomes.put(
            Person(id=root.id, resource=root.resource, folder=folder, unchanged=True)
        )

    def _new_person(self, root: Fetched[Any]) -> _Open:
        relationships = root.resource.relationships
        names = {name.replace("-", "_"): name for name in relationships}
        snake = {_snake(name): name for name in names}
        wanted: dict[str, tuple[Reference, ...]] = {}
        absent = []
        for name in self.request.follow:
            if name not in snake:
                absent.append(name)
                continue
            wanted[name] = tuple(
                x for x in root.resource.references(name) if resource_of(x.id)
            )
        person = _Open(root, wanted, tuple(absent))
        person.waiting = person.related_ids
        return person

    async def _take_related(self, related: Batch[Any], tasks: TaskGroup) -> None:
        async with related:
            async for each in related:
                people = self._waiting.pop(each.id, [])
                if not people:
                    await related.release(each.id)
                elif isinstance(each, Fetched):
                    if self._uses[each.id]:  # it was requested once more
                        await related.release(each.id)
                    self._uses[each.id] += len(people)
                for person in people:
                    person.add_outcome(each)
                    if not person.waiting:
                        tasks.start_soon(self._finish, person)

    async def _recheck(self, person: _Open) -> bool:
        """Return whether a copied person has to be copied again, from here on."""
        if (sender := person.rest) is None:
            return True
        person.rest = None
        async with sender:
            if person.is_still_refused:
                await self._put_unchanged(person.root)
                return False
            if person.failure is not None:
                return True
            person.waiting = person.related_ids - {*person.found, *person.missing}
            is_complete = not person.waiting
            await self._request(person, sender)
            return is_complete

    async def _finish(self, person: _Open) -> None:
        """Write a person whose related objects have arrived, and acknowledge it."""
        root = person.root
        if not await self._recheck(person):
            return
        try:
            if person.failure is not None:
                await self._fail(Failed(root.id, person.failure.fresh()))
                return
            copied = await self._write(person)
        except PersonaError as error:
            if stops(error):
                raise
            await self._fail(Failed(root.id, error))
        else:
            if self.into is not None:
                await self._acknowledge(root.id)
            self.counts["copied"] += 1
            self.counts["objects"] += 1 + len(person.found)
            self.counts["files"] += len(copied.files)
            await self.outcomes.put(copied)
        finally:
            await self.roots.release(root.id)
            await self._release_related(person)
            self._open_people.release()

    async def _release_related(self, person: _Open) -> None:
        """Release related objects that no other person needs for their files."""
        for each in person.found:
            self._uses[each] -= 1
            if not self._uses[each] and self.related is not None:
                del self._uses[each]
                await self.related.release(each)

    async def _acknowledge(self, object_id: str) -> None:
        with anyio.CancelScope(shield=True):
            await self.roots.acknowledge(object_id)
        for each in self._left.pop(object_id, ()):
            await to_thread.run_sync(_discard, each)

    async def _fail(self, failed: Failed) -> None:
        self.counts["failed"] += 1
        await self.outcomes.put(failed)

    # ── On the disk ─────────────────────────────────────────────────────────────

    async def _write(self, person: _Open) -> Person:
        relationships = person.relationships()
        root = person.root.resource
        if self.into is None:
            return Person(id=root.id, resource=root, relationships=relationships)
        if not is_id(root.id):
            message = "the id cannot be the name of a folder"
            raise InvalidArgumentError(message)
        objects = {f"{_name_of(root)}.json": root}
        for name, found in relationships.items():
            objects |= {f"{name}/{each.id}.json": each for each in found.objects}
        # Another worker that copies the same person has another name for its part.
        part = self.into / f".{root.id}.{self._key}.part"
        folder = self.into / root.id
        distinct = {each.id: each for each in objects.values()}
        try:
            await to_thread.run_sync(part.mkdir, 0o700)
            saved = await self._save_files(part / "files", [*distinct.values()])
            manifest = self._manifest(root, relationships, saved)
            await to_thread.run_sync(self._complete, part, folder, objects, manifest)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(OSError):
                await to_thread.run_sync(_remove, part)  # it has personal data
            raise
        return Person(
            id=root.id,
            resource=root,
            relationships=relationships,
            folder=folder,
            files=tuple(folder / each["path"] for each in saved),
        )

    def _manifest(
        self,
        root: Resource,
        relationships: Mapping[str, Relationship],
        saved: list[dict[str, Any]],
    ) -> dict[str, Any]:
        return {
            "version": VERSION,
            "id": root.id,
            "type": root.type,
            "updated_at": _updated_at(root),
            "copied_at": self.context.wall().isoformat(),
            "requested": self.request.to_dict(),
            "relationships": {
                name: {
                    "status": each.status,
                    "copied": [x.id for x in each.objects],
                    "missing": {x.id: reason for x, reason in each.missing.items()},
                }
                for name, each in relationships.items()
            },
            "files": saved,
        }

    async def _save_files(
        self, folder: Path, objects: Sequence[Resource]
    ) -> list[dict[str, Any]]:
        """Save the files and PDFs of these objects, and return their entries."""
        entries: list[dict[str, Any]] = []
        files, pdf = (
            folder if self.request.files else None,
            folder if self.request.pdf else None,
        )

        async def save(resource: Resource) -> None:
            batch = self._batch_of(resource.id)
            saved = await self._pool.save_all(resource, batch, files=files, pdf=pdf)
            for attribute, each in saved:
                entries.append(
                    {
                        "object": resource.id,
                        "attribute": attribute,
                        "path": f"{folder.name}/{each.path.name}",
                        "size": each.size,
                        "sha256": each.sha256,
                        "content_type": each.content_type,
                        "saved_at": self.context.wall().isoformat(),
                        "request_id": each.request_id,
                    }
                )

        try:
            async with anyio.create_task_group() as tasks:
                for each in objects:
                    tasks.start_soon(save, each)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        return sorted(entries, key=lambda each: str(each["path"]))

    def _write_object(
        self, part: Path, path: str, resource: Resource
    ) -> dict[str, Any]:
        content = dump_json(without_urls(resource.raw)) + b"\n"
        _write_synced(part / path, content, self.disk)
        return {
            "object": resource.id,
            "attribute": None,
            "path": path,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "content_type": "application/json",
            "saved_at": self.context.wall().isoformat(),
            "request_id": resource.response_info.request_id,
        }

    def _batch_of(self, object_id: str) -> Batch[Any]:
        related = self.related
        if related is not None and self.roots.scope_of(object_id) is None:
            return related
        return self.roots

    def _complete(
        self,
        part: Path,
        folder: Path,
        objects: Mapping[str, Resource],
        manifest: dict[str, Any],
    ) -> None:
        """Write objects and manifest, sync the folder, and give it its final name."""
        entries = [self._write_object(part, path, x) for path, x in objects.items()]
        manifest["files"] = [*entries, *manifest["files"]]
        content = orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n"
        _write_synced(part / MANIFEST, content, self.disk)
        for each in (*(x for x in part.iterdir() if x.is_dir()), part):
            self.disk.sync_folder(each)
        old = part.with_suffix(".old")
        while True:
            with suppress(FileNotFoundError):
                folder.rename(old)
            try:
                self.disk.replace(part, folder)
                break
            except OSError:
                if not folder.exists():
                    with suppress(FileNotFoundError):
                        old.rename(folder)
                    raise
            _remove(old)  # another worker has put its copy there: replace it as well
        self.disk.sync_folder(folder.parent)
        _remove(old)

    async def _refused_before(self, root: Fetched[Any]) -> set[str] | None:
        """Return the ids that an earlier copy lacks; None if the person has changed."""
        assert self.into is not None  # noqa: S101  # refresh needs a folder
        updated = _updated_at(root.resource)
        folder = self.into / root.id
        found = await to_thread.run_sync(self._intact_manifest, folder, updated)
        if found is None:
            return None
        missing = [each["missing"] for each in found["relationships"].values()]
        return {
            x for each in missing for x, reason in each.items() if reason == _REFUSED
        }

    def _intact_manifest(
        self, folder: Path, updated: str | None
    ) -> dict[str, Any] | None:
        """Return the manifest of this version of a person, if its files are there."""
        found = read_manifest(folder)
        if found is None or not updated or found.get("updated_at") != updated:
            return None
        if found["id"] != folder.name or not self.request.is_covered_by(found):
            return None
        if any(damage(folder, found, hashes=self.verify)):
            return None
        return None if self.verify and any(extras(folder, found)) else found


class Copy(OutcomeIterator[Person | Failed]):
    """An async iterator of `Person` and `Failed`.

    With ``into`` every person is written to a folder, and acknowledged when it is on
    the disk. Use it as ``async with manager.copy(...) as copy``.
    """

    def __init__(self, worker: CopyWorker) -> None:
        super().__init__(worker, worker.context.persistent.clock.now)
        self._copy = worker

    def report(self) -> CopyReport:
        """Return what was done so far."""
        roots = self._copy.roots.report()
        related = None if self._copy.related is None else self._copy.related.report()
        return CopyReport(
            copied=self._copy.counts["copied"],
            unchanged=self._copy.counts["unchanged"],
            failed=self._copy.counts["failed"],
            skipped=roots.skipped,
            objects=self._copy.counts["objects"],
            files=self._copy.counts["files"],
            tokens=max(roots.tokens, 0 if related is None else related.tokens),
            seconds=self._seconds(),
        )

    def progress(self) -> Progress:
        """Return the progress: people that are complete, of those that were named."""
        progress = self._copy.roots.progress()
        waiting_for = progress.waiting_for
        if waiting_for is None and self._copy.related is not None:
            waiting_for = self._copy.related.progress().waiting_for
        done = self._copy.counts["copied"] + self._copy.counts["unchanged"]
        progress = attrs.evolve(
            progress,
            fetched=done,
            failed=self._copy.counts["failed"],
            waiting_for=waiting_for,
        )
        seconds, left_for = self._seconds(), None
        rate = (done + progress.failed) / seconds if seconds else 0.0
        if progress.total is not None and rate:
            left_for = timedelta(seconds=(progress.total - progress.done) / rate)
        return attrs.evolve(progress, rate=rate, left_for=left_for)

    async def open(self) -> None:
        """Lock the folder, before anything else is touched."""
        if self._copy.lock is not None:
            await self._copy.lock.open()


def _reason(error: PersonaError) -> str | None:
    """Return why a related object is missing, or None if the person failed."""
    if isinstance(error, _NOT_COVERED):
        return _REFUSED
    return "not found" if isinstance(error, NotFoundError) else None


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def _updated_at(resource: Resource) -> str | None:
    found = resource.get("updated_at")
    return found if isinstance(found, str) else None


def _name_of(resource: Resource) -> str:
    """Return the file name of a person's own object, without its extension."""
    name = resource.type.partition("/")[0]
    is_taken = f"{name}.json".lower() == MANIFEST
    return name if is_id(name) and not is_taken else "object"


def _write_synced(path: Path, content: bytes, disk: Disk) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = open_private(path, os.O_WRONLY | os.O_TRUNC)
    try:
        with naming(path):
            disk.write(descriptor, content)
            disk.sync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a folder, or a file that is in its place."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _leftovers(into: Path) -> dict[str, list[Path]]:
    """Return what other runs left of each person: half written, or moved aside.

    A copy may be in a folder that has other hidden files.
    """
    found: dict[str, list[Path]] = {}
    for each in into.iterdir():
        object_id = each.name[1:].partition(".")[0]
        if (
            each.name.startswith(".")
            and each.suffix in {".part", ".old"}
            and kind_of_id(object_id) is not None
        ):
            found.setdefault(object_id, []).append(each)
    return found


def _clean(into: Path) -> None:
    """Remove what killed runs left half written, or restore what they moved aside."""
    for object_id, paths in _leftovers(into).items():
        folder = into / object_id
        for each in paths:
            if each.suffix == ".part" or folder.exists():
                _discard(each)
            else:
                each.rename(folder)


def _discard(path: Path) -> None:
    """Remove what another run left, under a name with which that run cannot use it."""
    name = path.name.rpartition(".")[0]
    moved = path.with_name(f"{name}.{os.urandom(6).hex()}.part")
    with suppress(FileNotFoundError):
        path.rename(moved)
        _remove(moved)
