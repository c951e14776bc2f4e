"""Fifty thousand objects from a sandbox: memory stays flat, and every id is accounted for.

The sandbox is a process of its own, and some of the ids are unknown to it. The resident
memory of the client is measured halfway and at the end. The partner names the ids that it
refuses; the codes that they cost are counted for fewer ids.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.batch_files import resident
from benchmarks.figure import Figure, Figures, show
from persona_share import Failed, PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import CodeRefusedError
from persona_share.sandbox import Limits, Sandbox


OBJECTS = 50_000
UNKNOWN = 50
#: So many ids are unknown, of so many, where the codes are counted.
BAD, BAD_OF = 200, 1_500


def unknown(count: int) -> list[str]:
    """Return ids that the sandbox does not know."""
    return [f"inq_unknown{number}" for number in range(count)]


def serve(pipe: Any) -> None:
    """Run a sandbox until the other side closes the pipe."""

    async def run() -> None:
        limits = Limits(objects=2 * OBJECTS, events=100, log_entries=100)
        async with Sandbox(rate_limit=None, limits=limits) as running:
            ids = [running.add_inquiry().id for _ in range(OBJECTS - UNKNOWN)]
            keys = (running.source.api_key, running.destination.api_key)
            pipe.send((running.url, keys, running.destination.id, ids))
            await asyncio.to_thread(pipe.poll, None)

    asyncio.run(run())


@contextmanager
def sandbox() -> Iterator[Any]:
    """Start the sandbox, and yield its address, keys, organization and ids."""
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    process = processes.Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


async def fetched(
    address: Any, ids: Sequence[str], size: int = 250
) -> tuple[int, int, Counter[str]]:
    """Return the memory halfway and at the end, and what became of the ids."""
    url, (source_key, key), organization, known = address
    unknown_set, seen, halfway = {*ids} - {*known}, Counter[str](), 0
    codes = 0
    expected = Counter(fetched=len(ids) - len(unknown_set), failed=len(unknown_set))
    given: dict[str, Any] = {"base_url": url, "insecure_local": True}
    async with (
        PersonaClient(source_key, **given) as source,
        PersonaClient(key, **given) as client,
    ):

        async def ask_partner(scope: Scope) -> Any:
            nonlocal codes
            codes += 1
            refused = unknown_set.intersection(scope.object_ids())
            if refused:
                raise CodeRefusedError(refused=Scope.read(*refused))
            return await source.oauth.authorize(client_id=organization, scope=scope)

        async with (
            ScopedTokenManager(client, codes=ask_partner) as manager,
            manager.fetch(iter(ids), objects_per_token=size) as batch,
        ):
            async for each in batch:
                seen["failed" if isinstance(each, Failed) else "fetched"] += 1
                halfway = resident() if seen["fetched"] == len(ids) // 2 else halfway
            end, report = resident(), batch.report()
    assert seen == +expected
    assert (report.fetched, report.failed) == (seen["fetched"], seen["failed"])
    seen["codes"] = codes
    seen["tokens"], seen["seconds"] = report.tokens, round(report.seconds)
    return halfway, end, seen


def figures() -> Figures:
    """Return the ids in the report, the resident memory, and the tokens of bad ids."""
    with sandbox() as address:
        known = address[-1]
        ids = [*known, *unknown(UNKNOWN)]
        halfway, end, seen = asyncio.run(fetched(address, ids))
        mixed = known[:BAD_OF]
        for number, each in enumerate(unknown(BAD)):
            mixed[number * (BAD_OF // BAD)] = each
        codes = [
            asyncio.run(fetched(address, each, 100))[-1]["codes"]
            for each in (mixed, known[:BAD_OF])
        ]
    yield Figure(
        name=f"ids in the report of {OBJECTS} objects of a sandbox, {seen['tokens']} tokens,"
        f" {seen['seconds']} s",
        unit="ids",
        ours=seen["fetched"] + seen["failed"],
        yardstick=OBJECTS,
        compared_with="the ids that were named",
        at_least=1.0,
        at_most=1.0,
    )
    yield Figure(
        name=f"resident memory after {OBJECTS} objects of a sandbox",
        unit="MB",
        ours=round(end / 1e6, 1),
        yardstick=round(halfway / 1e6, 1),
        compared_with=f"itself after {OBJECTS // 2}",
        at_most=1.1,
    )
    yield Figure(
        name=f"codes for {BAD_OF} ids of which {BAD} are unknown, 100 a token",
        unit="codes",
        ours=codes[0],
        yardstick=codes[1],
        compared_with=f"{BAD_OF} known ids",
        at_most=2.0,
    )


if __name__ == "__main__":
    show(figures)
