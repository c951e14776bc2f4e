"""``persona-share demo``: two organizations share data, through many token lives."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product, zip_longest

import attrs
import rich_click as click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from persona_share import (
    AuthorizationCode,
    PersonaClient,
    Scope,
    ScopedSession,
    ScopedTokenManager,
)
from persona_share.errors import PersonaError, ScopeNotCoveredError
from persona_share.model.events import CodeClaimed, Event
from persona_share.model.scope import MAX_ATOMS
from persona_share.sandbox import Sandbox


_SCOPES = 8
_WORKERS = 8
_LIFETIMES = 4.6
_OBJECTS_A_PERSON = 3
_NOT_SHARED = "inq_NobodyShared"

Item = tuple[Scope, str]


@attrs.frozen
class Report:
    """What happened, as the table and ``--json`` tell it."""

    objects: int
    exchanges: int
    renewals: int
    codes_per_token: float
    local_refusals: int
    rate_limited: int
    failures: int
    seconds: float


@attrs.define
class _Tally:
    """Counts while the fetch goes on."""

    fetched: int = 0
    failures: int = 0
    refusals: int = 0
    codes: int = 0
    reasons: list[str] = attrs.field(factory=list)

    def hear(self, event: Event) -> None:
        """Count the codes that were taken for an exchange."""
        self.codes += isinstance(event, CodeClaimed)


@click.command()
@click.option("--objects", default=200, show_default=True, help="Inquiries to share.")
@click.option(
    "--token-lifetime", default=3.0, show_default=True, help="Life of a token, in s."
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of the made-up people."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def demo(objects: int, token_lifetime: float, seed: int, *, as_json: bool) -> None:
    """Watch two organizations share data through at least four token lifetimes.

    Everything runs here: a local Persona on a real socket, a source organization that
    authorizes, and a destination that fetches every shared object.
    """
    if objects < 1 or token_lifetime <= 1:
        message = "needs at least 1 object and a token lifetime above 1 s"
        raise click.UsageError(message)
    console = Console(stderr=as_json)
    report, reasons = asyncio.run(_run(objects, token_lifetime, seed, console))
    if as_json:
        click.echo(json.dumps(attrs.asdict(report)))
    else:
        console.print(_table(report))
    for reason, times in Counter(reasons).most_common(5):
        console.print(f"failed {times} times: {reason}", style="red", markup=False)
    if report.failures:
        raise SystemExit(1)


async def _run(
    objects: int, token_lifetime: float, seed: int, console: Console
) -> tuple[Report, Sequence[str]]:
    # So slow that the fetch outlives several tokens, however few objects there are.
    latency = _LIFETIMES * token_lifetime * _WORKERS / (objects * _OBJECTS_A_PERSON)
    box = Sandbox(
        token_lifetime=token_lifetime,
        rate_limit=1_000_000,
        seed=seed,
        latency=latency,
    )
    async with box:
        scopes = _shared(_people(box, objects))
        work = _taken_in_turn(scopes)
        clock = asyncio.get_running_loop().time
        started = clock()
        tally = await _share(box, work, console)
        seconds = clock() - started
    return _report(box, len(scopes), tally, seconds), tally.reasons


async def _share(box: Sandbox, work: Sequence[Item], console: Console) -> _Tally:
    """Play both organizations: the one authorizes, the other fetches."""
    async with (
        PersonaClient(
            box.source.api_key, base_url=box.url, insecure_local=True
        ) as source,
        PersonaClient(
            box.destination.api_key, base_url=box.url, insecure_local=True
        ) as destination,
    ):

        async def ask_partner(scope: Scope) -> AuthorizationCode:
            return await source.oauth.authorize(
                client_id=box.destination.id, scope=scope
            )

        tally = _Tally()
        async with ScopedTokenManager(
            destination, codes=ask_partner, hooks=[tally.hear]
        ) as manager:
            await _fetch(manager, work, console, tally)
        return tally


async def _fetch(
    manager: ScopedTokenManager,
    work: Sequence[Item],
    console: Console,
    tally: _Tally,
) -> None:
    remaining = iter(work)

    async def worker(advance: Callable[[], None]) -> None:
        for scope, object_id in remaining:
            try:
                await _retrieve(manager.session(scope), object_id)
                tally.fetched += 1
            except PersonaError as error:
                tally.failures += 1
                tally.reasons.append(str(error))
            advance()

    with _progress(console, len(work)) as advance:
        await asyncio.gather(*(worker(advance) for _ in range(_WORKERS)))
    for scope in dict.fromkeys(scope for scope, _ in work):
        try:
            await manager.session(scope).inquiries.retrieve(_NOT_SHARED)
            tally.failures += 1
            tally.reasons.append("an object outside of the scope was asked for")
        except ScopeNotCoveredError:
            tally.refusals += 1


async def _retrieve(session: ScopedSession, object_id: str) -> None:
    if object_id.startswith("inq_"):
        await session.inquiries.retrieve(object_id)
    else:
        await session.verifications.retrieve(object_id)


def _people(box: Sandbox, count: int) -> list[str]:
    """Make up inquiries with two verifications each, and answer all ids."""
    ids = []
    for _ in range(count):
        inquiry = box.add_inquiry().id
        ids.append(inquiry)
        ids += [
            box.add_verification(inquiry=inquiry, kind=kind).id
            for kind in ("government-id", "selfie")
        ]
    return ids


def _shared(object_ids: Sequence[str]) -> list[Scope]:
    """Answer several scopes that name every object once."""
    size = min(-(-len(object_ids) // _SCOPES), MAX_ATOMS)
    return [
        Scope.read(*object_ids[first : first + size])
        for first in range(0, len(object_ids), size)
    ]


def _taken_in_turn(scopes: Sequence[Scope]) -> list[Item]:
    """Answer every object with its scope, one of each scope after the other."""
    rows = zip_longest(*(product((each,), each.object_ids()) for each in scopes))
    return [item for row in rows for item in row if item is not None]


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, and ten plain lines anywhere else."""
    if console.is_terminal:
        columns = (TextColumn("fetching"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
            task = bar.add_task("fetching", total=total)
            yield lambda: bar.advance(task)
        return
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done % max(total // 10, 1) == 0 or done == total:
            console.print(f"fetched {done} of {total}", highlight=False)

    yield advance


def _report(box: Sandbox, scopes: int, tally: _Tally, seconds: float) -> Report:
    minted = box.log.tokens_minted
    return Report(
        objects=tally.fetched,
        exchanges=minted,
        renewals=minted - scopes,
        codes_per_token=round(tally.codes / max(minted, 1), 3),
        local_refusals=tally.refusals,
        rate_limited=box.log.count(status=429),
        failures=tally.failures,
        seconds=round(seconds, 2),
    )


def _table(report: Report) -> Table:
    table = Table(title="ObjectReader between two organizations", show_header=False)
    labels = {
        "objects": "objects fetched",
        "exchanges": "codes exchanged for tokens",
        "renewals": "of these, renewals",
        "codes_per_token": "codes used per token",
        "local_refusals": "requests refused locally",
        "rate_limited": "answers 429",
        "failures": "failures",
        "seconds": "seconds",
    }
    for name, value in attrs.asdict(report).items():
        table.add_row(labels[name], str(value))
    return table
