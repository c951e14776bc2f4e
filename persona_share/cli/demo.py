"""``persona-share demo``: two organizations share data over many token lifetimes."""

import asyncio
import json
import logging
import tempfile
import webbrowser
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product, zip_longest
from pathlib import Path
from typing import Any, Final

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
    PersonaClient,
    Scope,
    ScopedSession,
    ScopedTokenManager,
    stores,
)
from persona_share.cli.console import Output
from persona_share.cli.exit_codes import counted
from persona_share.errors import CodeRefusedError, PersonaError, ScopeNotCoveredError
from persona_share.model.events import CodeClaimed, HookEvent
from persona_share.model.scope import MAX_ATOMS
from persona_share.partner import (
    Agreement,
    AuditLog,
    CodeIssuer,
    Consents,
    PartnerCodeSource,
    SigningKey,
    read_audit,
)
from persona_share.partner.applications import free_port, listening
from persona_share.sandbox import Sandbox


_SCOPES: Final = 8
_WORKERS: Final = 8
_LIFETIMES: Final = 4.6
_OBJECTS_PER_PERSON: Final = 3
_NOT_SHARED: Final = "inq_NobodyShared"
_CODES_PER_MINUTE: Final = 3_000
_DAY: Final = timedelta(days=1)

Item = tuple[Scope, str]


@attrs.frozen
class Report:
    """The result of the demo."""

    objects: int
    exchanges: int
    renewals: int
    codes_per_token: float
    partner_refusals: int
    revocations: int
    local_refusals: int
    audit_lines: int
    rate_limited: int
    failures: int
    seconds: float


@attrs.define
class _Tally:
    """Counts while the demo runs."""

    fetched: int = 0
    failures: int = 0
    local_refusals: int = 0
    partner_refusals: int = 0
    revocations: int = 0
    codes: int = 0
    reasons: list[str] = attrs.field(factory=list)

    def on_event(self, event: HookEvent) -> None:
        """Count the codes that were claimed for an exchange."""
        self.codes += isinstance(event, CodeClaimed)

    def failed(self, reason: str) -> None:
        """Count a failure."""
        self.failures += 1
        self.reasons.append(reason)


@attrs.frozen
class _Organizations:
    """Both organizations, connected over real sockets."""

    sandbox: Sandbox
    consents: Consents
    audit: Path
    manager: ScopedTokenManager


@click.command()
@click.option("--objects", default=200, show_default=True, help="Inquiries to share.")
@click.option(
    "--token-lifetime",
    default=3.0,
    show_default=True,
    help="Lifetime of a token, in seconds.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of the generated people."
)
@click.option("--open", "opened", is_flag=True, help="Open the sandbox's inspector.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def demo(
    objects: int, token_lifetime: float, seed: int, *, opened: bool, as_json: bool
) -> None:
    """Show how two organizations share data over at least four token lifetimes.

    Everything runs on this machine, over real sockets: a local Persona, the source's
    partner service, and a destination that fetches every shared object.
    """
    if objects < 1 or token_lifetime <= 1:
        message = "needs at least 1 object and a token lifetime above 1 s"
        raise click.UsageError(message)
    console = Output(stderr=as_json, highlight=False)
    # Refusals are part of the demo; the report names unexpected errors.
    logging.getLogger("persona_share").setLevel(logging.CRITICAL)
    report, reasons = asyncio.run(
        _run(objects, token_lifetime, seed, console, opened=opened)
    )
    if as_json:
        click.echo(json.dumps(attrs.asdict(report)))
    else:
        console.print(_table(report))
    for reason, times in Counter(reasons).most_common(5):
        console.print(
            f"failed {counted(times, 'time')}: {reason}", style="red", markup=False
        )
    if report.failures:
        raise SystemExit(1)


async def _run(
    objects: int,
    token_lifetime: float,
    seed: int,
    console: Console,
    *,
    opened: bool,
) -> tuple[Report, Sequence[str]]:
    sandbox = Sandbox(token_lifetime=token_lifetime, rate_limit=1_000_000, seed=seed)
    # Slow enough that the fetch outlives several tokens, however few objects there are.
    pause = _LIFETIMES * token_lifetime * _WORKERS / (objects * _OBJECTS_PER_PERSON)
    clock, tally = asyncio.get_running_loop().time, _Tally()
    with tempfile.TemporaryDirectory() as folder:
        async with _connected(sandbox, Path(folder), tally) as organizations:
            if opened:
                webbrowser.open(sandbox.inspector_url)
            scopes = _grouped(_add_people(sandbox, objects))
            started = clock()
            doubtful = Scope.read(sandbox.add_inquiry().id)
            for scope in (*scopes, doubtful):
                await _consent(organizations, scope)
            count = sum(map(len, scopes)) + 1
            console.print(f"source: records consents for {counted(count, 'object')}")
            await organizations.manager.token(doubtful)
            await _fetch(
                organizations,
                _interleaved(scopes),
                doubtful,
                console,
                tally,
                pause=pause,
            )
            await _ask_for_more(organizations, scopes[0], console, tally)
            await _ask_again(organizations, doubtful, console, tally)
            seconds = clock() - started
        # The manager is closed: every exchange that was under way has ended.
        lines = list(read_audit(organizations.audit))
        _print_audit(lines, console)
        return _report(
            organizations, len(scopes), tally, len(lines), seconds
        ), tally.reasons


@asynccontextmanager
async def _connected(
    sandbox: Sandbox, folder: Path, tally: _Tally
) -> AsyncIterator[_Organizations]:
    """Start the sandbox, the source's service, and the destination."""
    key, store = SigningKey.generate(), stores.SQLiteStore(folder / "partner.db")
    port = free_port()
    url = f"http://127.0.0.1:{port}/codes"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sandbox)
        now = datetime.now(UTC)  # noqa: TID251  # the demo uses the machine's clock
        agreement = Agreement(
            partner=sandbox.destination.id,
            keys=[key.public_jwk],
            permissions=["inquiry.read", "verification.read"],
            valid_from=now - _DAY,
            valid_until=now + _DAY,
            codes_per_minute=_CODES_PER_MINUTE,
        )
        local: dict[str, Any] = {"base_url": sandbox.url, "insecure_local": True}
        consents, audit = Consents(store), folder / "audit.jsonl"
        issuer = CodeIssuer(
            PersonaClient(sandbox.source.api_key, **local),
            agreements=[agreement],
            consents=consents,
            audit=AuditLog(audit),
            store=store,
            url=url,
        )
        await stack.enter_async_context(listening(issuer.aiohttp(), "127.0.0.1", port))
        codes = await stack.enter_async_context(
            PartnerCodeSource(url, client_id=sandbox.destination.id, key=key)
        )
        client = await stack.enter_async_context(
            PersonaClient(sandbox.destination.api_key, **local)
        )
        manager = await stack.enter_async_context(
            ScopedTokenManager(client, codes=codes, hooks=[tally.on_event])
        )
        yield _Organizations(sandbox, consents, audit, manager)


async def _consent(organizations: _Organizations, scope: Scope) -> None:
    until = datetime.now(UTC) + _DAY  # noqa: TID251  # as above
    await organizations.consents.grant(
        organizations.sandbox.destination.id, scope, until=until, by="demo"
    )


async def _fetch(
    organizations: _Organizations,
    work: Sequence[Item],
    doubtful: Scope,
    console: Console,
    tally: _Tally,
    *,
    pause: float,
) -> None:
    """Fetch every object; halfway, the source revokes one consent."""
    remaining, done = iter(work), 0

    async def worker(advance: Callable[[], None]) -> None:
        nonlocal done
        for scope, object_id in remaining:
            try:
                await _retrieve(organizations.manager.session(scope), object_id)
                tally.fetched += 1
            except PersonaError as error:
                tally.failed(str(error))
            advance()
            await asyncio.sleep(pause)  # noqa: TID251  # tokens expire on a real clock
            done += 1
            if done == -(-len(work) // 2):
                await organizations.consents.revoke(
                    organizations.sandbox.destination.id, doubtful
                )
                console.print("source: revokes the consent for one object")

    with _progress(console, len(work)) as advance:
        await asyncio.gather(*(worker(advance) for _ in range(_WORKERS)))


async def _ask_for_more(
    organizations: _Organizations, scope: Scope, console: Console, tally: _Tally
) -> None:
    """Request an object without a consent together with one that has a consent."""
    other = Scope.read(organizations.sandbox.add_inquiry().id)
    try:
        await organizations.manager.token(Scope(tuple(scope)[:1]) | other)
        tally.failed("a code was issued without a consent")
    except CodeRefusedError as error:
        if error.refused == other:
            tally.partner_refusals += 1
            console.print("source: refuses an object without a consent, and names it")
        else:
            tally.failed("the refusal does not name the object")
    try:
        await organizations.manager.session(scope).inquiries.retrieve(_NOT_SHARED)
        tally.failed("an object outside the scope was requested")
    except ScopeNotCoveredError:
        tally.local_refusals += 1


async def _ask_again(
    organizations: _Organizations, revoked: Scope, console: Console, tally: _Tally
) -> None:
    """Request the object whose consent was revoked over a token lifetime ago."""
    try:
        await organizations.manager.token(revoked)
        tally.failed("a revoked consent still yields codes")
    except CodeRefusedError:
        tally.revocations += 1
        console.print("source: gives no new code for the object that was revoked")
    except PersonaError as error:
        tally.failed(str(error))


async def _retrieve(session: ScopedSession, object_id: str) -> None:
    if object_id.startswith("inq_"):
        await session.inquiries.retrieve(object_id)
    else:
        await session.verifications.retrieve(object_id)


def _add_people(sandbox: Sandbox, count: int) -> list[str]:
    """Add inquiries with two verifications each, and return all ids."""
    ids = []
    for _ in range(count):
        inquiry = sandbox.add_inquiry().id
        ids.append(inquiry)
        ids += [
            sandbox.add_verification(inquiry=inquiry, kind=kind).id
            for kind in ("government-id", "selfie")
        ]
    return ids


def _grouped(object_ids: Sequence[str]) -> list[Scope]:
    """Return several scopes; each object is in one of them."""
    size = min(-(-len(object_ids) // _SCOPES), MAX_ATOMS)
    return [
        Scope.read(*object_ids[first : first + size])
        for first in range(0, len(object_ids), size)
    ]


def _interleaved(scopes: Sequence[Scope]) -> list[Item]:
    """Return every object with its scope, one of each scope after the other."""
    rows = zip_longest(*(product((each,), each.object_ids()) for each in scopes))
    return [item for row in rows for item in row if item is not None]


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on a terminal, and ten plain lines elsewhere."""
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
            console.print(f"destination: fetched {done} of {total}")

    yield advance


def _print_audit(lines: Sequence[dict[str, Any]], console: Console) -> None:
    counts = Counter((each["decision"], each["reason"]) for each in lines)
    console.print(f"source: the audit log has {counted(len(lines), 'line')}")
    for (decision, reason), count in sorted(counts.items()):
        console.print(f"  {count:>5}  {decision}, {reason}")


def _report(
    organizations: _Organizations,
    scopes: int,
    tally: _Tally,
    lines: int,
    seconds: float,
) -> Report:
    issued = organizations.sandbox.log.tokens_issued
    return Report(
        objects=tally.fetched,
        exchanges=issued,
        renewals=issued - scopes - 1,  # the one that is revoked
        codes_per_token=round(tally.codes / max(issued, 1), 3),
        partner_refusals=tally.partner_refusals,
        revocations=tally.revocations,
        local_refusals=tally.local_refusals,
        audit_lines=lines,
        rate_limited=organizations.sandbox.log.count(status=429),
        failures=tally.failures,
        seconds=round(seconds, 2),
    )


def _table(report: Report) -> Table:
    table = Table(title="Shared between two organizations", show_header=False)
    labels = {
        "objects": "objects fetched",
        "exchanges": "codes exchanged for tokens",
        "renewals": "of these, refreshes",
        "codes_per_token": "codes used per token",
        "partner_refusals": "codes refused: no consent",
        "revocations": "codes refused: consent revoked",
        "local_refusals": "requests refused locally",
        "audit_lines": "lines of the audit log",
        "rate_limited": "responses 429",
        "failures": "failures",
        "seconds": "seconds",
    }
    for name, value in attrs.asdict(report).items():
        table.add_row(labels[name], str(value))
    return table
