"""Copy many people through an outage, a full disk and a second run, and verify the copy.

``python -m benchmarks.night`` copies 2,000 people with their files from a sandbox, and
prints what happens; ``--people`` changes the number. It runs on a clock that moves
whenever nothing else happens, so an outage of ten minutes takes seconds.
"""

import argparse
import asyncio
import errno
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import attrs

from persona_share import (
    AuthorizationCode,
    Failed,
    PersonaClient,
    Scope,
    ScopedTokenManager,
)
from persona_share.batch import CopyReport, Person, VerifyReport, verify_copy
from persona_share.batch.saving import Disk
from persona_share.errors import CodeRefusedError
from persona_share.sandbox import Sandbox
from persona_share.testing import FakeClock, fake_runtime


OUTAGE = 600.0
UNKNOWN = "inq_nobody"
#: The clock moves after this many short waits in which nothing happened.
_QUIET = 3
_STEP = 2.0


@attrs.define
class ExpectedCopy:
    """The objects and files that the copy must contain."""

    ids: list[str] = attrs.field(factory=list)
    #: The status that each relationship of a person must get, and its objects.
    statuses: dict[str, dict[str, str]] = attrs.field(factory=dict)
    objects: Counter[str] = attrs.field(factory=Counter)
    files: Counter[str] = attrs.field(factory=Counter)
    #: Accounts that the partner does not share.
    unshared: set[str] = attrs.field(factory=set)

    def add(self, sandbox: Sandbox, number: int) -> None:
        """Add a person whose relationships depend on the number."""
        account = sandbox.add_account().id
        inquiry = sandbox.add_inquiry(account=account).id
        statuses = {"account": "copied", "documents": "none", "reports": "none"}
        sandbox.add_verification(inquiry=inquiry, kind="government-id")
        self.objects[inquiry], self.files[inquiry] = 3, 2
        if number % 5 == 0:
            self.unshared.add(account)
            self.objects[inquiry] -= 1
            statuses["account"] = "not covered"
        if number % 2 == 0:
            sandbox.add_document(inquiry=inquiry)
            self.objects[inquiry] += 1
            self.files[inquiry] += 1
            statuses["documents"] = "copied"
        if number % 3 == 0:
            sandbox.add_report(inquiry=inquiry)
            self.objects[inquiry] += 1
            statuses["reports"] = "copied"
        self.ids.append(inquiry)
        self.statuses[inquiry] = {"verifications": "copied", **statuses}


@attrs.define
class FullDisk(Disk):
    """A disk that counts the people that are complete, and may have no space."""

    complete: int = 0
    writes: int = 0
    full: bool = False
    on_complete: Callable[[int], None] = attrs.field(default=lambda _: None)

    def write(self, descriptor: int, content: bytes) -> None:
        """Write, or raise the error of a full disk."""
        self._require_space()
        super().write(descriptor, content)
        self.writes += 1

    def replace(self, source: Path, target: Path) -> None:
        """Give a file or a folder its final name; a folder is a complete person."""
        self._require_space()
        super().replace(source, target)
        if target.is_dir():
            self.complete += 1
            self.on_complete(self.complete)

    def _require_space(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


@attrs.define
class CopyRun:
    """The sandbox, the clock, and what was copied in every run."""

    people: int
    folder: Path
    concurrency: int = 32
    clock: FakeClock = attrs.field(factory=FakeClock)
    disk: FullDisk = attrs.field(factory=FullDisk)
    expected: ExpectedCopy = attrs.field(factory=ExpectedCopy)
    copied: list[Person] = attrs.field(factory=list)
    failed: list[Failed] = attrs.field(factory=list)
    reports: list[CopyReport] = attrs.field(factory=list)
    verified: VerifyReport | None = None
    sandbox: Sandbox = attrs.field(init=False)
    _outage_ends: float = attrs.field(default=math.inf, init=False)
    _outage_at: int = attrs.field(init=False)
    _full_at: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Create the sandbox on the clock of the night."""
        self.sandbox = Sandbox(_clock=self.clock.epoch)
        self._outage_at = self.people // 4
        self.disk.on_complete = self._happen

    async def run(self) -> None:
        """Copy until the disk is full, copy the rest, and verify."""
        async with self.sandbox:
            for number in range(self.people):
                self.expected.add(self.sandbox, number)
            given: dict[str, Any] = {
                "base_url": self.sandbox.url,
                "insecure_local": True,
                "_runtime": fake_runtime(self.clock),
            }
            async with (
                PersonaClient(self.sandbox.source.api_key, **given) as source,
                PersonaClient(self.sandbox.destination.api_key, **given) as client,
            ):

                async def ask_partner(scope: Scope) -> AuthorizationCode:
                    unshared = self.expected.unshared.intersection(scope.object_ids())
                    if unshared:
                        refused = Scope.read(*unshared)
                        raise CodeRefusedError(refused=refused)
                    return await source.oauth.authorize(
                        client_id=self.sandbox.destination.id, scope=scope
                    )

                async with ScopedTokenManager(client, codes=ask_partner) as manager:
                    self._print(f"copy {self.people} people, and one that nobody knows")
                    await self._passed(self._copy(manager))
                    self.disk.full = False
                    self._print("the disk has space again; run the same command again")
                    await self._passed(self._copy(manager))
        self.verified = verify_copy(self.folder)
        self._print(
            f"verify: {self.verified.people} people, {self.verified.objects} objects, "
            f"{self.verified.files} files, "
            f"{len(self.verified.problems)} problems"
        )

    def problems(self) -> list[str]:
        """Return everything that is not as it must be; nothing if all is well."""
        found = Counter(each.id for each in self.copied)
        wrong = [
            f"{x} was copied {found[x]} times"
            for x in self.expected.ids
            if found[x] != 1
        ]
        wrong += [f"{x} failed" for x in {x.id for x in self.failed} - {UNKNOWN}]
        for each in self.copied:
            statuses = {
                name: relationship.status
                for name, relationship in each.relationships.items()
                if name in self.expected.statuses[each.id]
            }
            objects = 1 + sum(len(x.objects) for x in each.relationships.values())
            if statuses != self.expected.statuses[each.id]:
                wrong.append(f"{each.id}: the statuses are {statuses}")
            if objects != self.expected.objects[each.id]:
                wrong.append(f"{each.id}: {objects} objects")
            if len(each.files) != self.expected.files[each.id]:
                wrong.append(f"{each.id}: {len(each.files)} files")
        for report in self.reports[1:]:
            if report.copied + report.failed + report.skipped != self.people + 1:
                wrong.append(f"the report does not account for every id: {report}")
        expected = (self.expected.objects.total(), self.expected.files.total())
        if (
            self.verified is None
            or self.verified.problems
            or (self.verified.objects, self.verified.files) != expected
        ):
            wrong.append(f"verify: {self.verified}")
        return wrong

    async def _copy(self, manager: ScopedTokenManager) -> None:
        ids = [*self.expected.ids, UNKNOWN]
        async with manager.copy(
            ids, into=self.folder, concurrency=self.concurrency
        ) as copy:
            copy._copy.disk = self.disk  # noqa: SLF001  # no user replaces it
            try:
                async for each in copy:
                    if isinstance(each, Failed):
                        self.failed.append(each)
                        self._print(f"{each.id} failed: {each.error.what}")
                    else:
                        self.copied.append(each)
            except OSError as error:
                self._print(f"the run stops: {error.strerror}")
            report = copy.report()
        self.reports.append(report)
        self._print(
            f"copied {report.copied}, failed {report.failed}, skipped "
            f"{report.skipped}; {report.objects} objects, {report.files} files, "
            f"{report.tokens} tokens"
        )

    async def _passed(self, work: Coroutine[Any, Any, None]) -> None:
        """Let time pass whenever nothing else happens, until the work is done."""
        task = asyncio.ensure_future(work)
        seen, quiet = (-1, -1, -1), 0
        while not task.done():
            await asyncio.wait({task}, timeout=0.002)
            now = (len(self.sandbox.log), len(self.copied), self.disk.writes)
            quiet = quiet + 1 if now == seen else 0
            seen = now
            if self._full_at is None and self.clock.now() >= self._outage_ends:
                self.sandbox.faults.clear()
                self._full_at = (self.disk.complete + self.people) // 2
                self._print("the service responds again")
            if quiet > _QUIET:
                await self.clock.settle()
                self.clock.advance(_STEP)
        await task

    def _happen(self, complete: int) -> None:
        """Begin the outage or fill the disk when so many people are complete."""
        if complete == self._outage_at:
            self._outage_ends = self.clock.now() + OUTAGE
            self.sandbox.faults.answer("*", 503, times=None)
            self._print(f"{complete} people are complete; every request gets 503")
        if complete == self._full_at:
            self.disk.full = True
            self._print(f"{complete} people are complete; the disk is full")

    def _print(self, text: str) -> None:
        print(f"{self.clock.wall():%H:%M:%S}  {text}", flush=True)


def main(people: int) -> int:
    """Run a night and return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        copy_run = CopyRun(people, Path(name) / "people")
        asyncio.run(copy_run.run())
        problems = copy_run.problems()
    print(
        "\n".join(problems[:20])
        or "every person is complete, and no one is there twice"
    )
    return bool(problems)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.night")
    parser.add_argument("--people", type=int, default=2_000)
    sys.exit(main(parser.parse_args().people))
