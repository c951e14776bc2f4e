"""``get``, ``list`` and ``fetch``: show objects, list ids, and write objects to a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
import rich_click as click

from persona_share import Failed
from persona_share._transport.private_files import make_folder, open_private
from persona_share.batch import Batch
from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.batch.outages import OutageMonitor
from persona_share.batch.saving import (
    Attach,
    Disk,
    Downloads,
    FilePool,
    OutputFile,
    OutputStream,
    Persistent,
    Saver,
    naming,
    require_lock,
    row_format,
    without_urls,
)
from persona_share.cli.console import Output
from persona_share.cli.exit_codes import (
    OK,
    PARTLY,
    counted,
    exit_code_of,
    facts_of,
    fail,
    print_json,
    printable,
    run,
)
from persona_share.cli.id_input import ids_from
from persona_share.cli.options import (
    ClientOptions,
    with_batch_options,
    with_client_options,
)
from persona_share.cli.progress import progress_shown
from persona_share.cli.token_options import (
    ObjectReader,
    TokenOptions,
    opened,
    with_token_options,
)
from persona_share.errors import MalformedResponseError, NotFoundError
from persona_share.model.resource import Resource


#: More failures than these are counted, and written to --failures only.
_MAX_SHOWN: Final = 100
#: Someone waits for ``get``: it stops when nothing works for so many seconds.
_GET_MAX_OUTAGE: Final = 20.0
#: Objects that are saved at once, for each file that is downloaded: while the files of
#: some are synced, those of others are downloaded.
_OBJECTS_PER_FILE: Final = 2
_ANOTHER_ORGANIZATION: Final = (
    "Your own API key was used. If another organization owns the objects, pass "
    "--client-id, --partner, --code-command or --code-file."
)


@attrs.define
class Failures:
    """The objects that failed, for the report, the exit code and ``--failures``.

    With ``own_key``, an object that is not found may belong to another organization.
    """

    path: Path | None = None
    own_key: bool = False
    shown: list[dict[str, Any]] = attrs.field(factory=list)
    codes: set[int] = attrs.field(factory=set)
    count: int = 0
    _descriptor: int | None = attrs.field(default=None, init=False)

    def open(self) -> None:
        """Create the file, or empty the one of an earlier run."""
        if self.path is not None:
            self._descriptor = open_private(self.path, os.O_WRONLY)
            require_lock(self._descriptor, self.path)
            os.ftruncate(self._descriptor, 0)

    def add(self, object_id: str, error: BaseException) -> None:
        """Record what went wrong with an object."""
        self.count += 1
        self.codes.add(exit_code_of(error))
        facts = facts_of(error)
        if self.own_key and isinstance(error, NotFoundError):
            facts["advice"] = f"{facts['advice']} {_ANOTHER_ORGANIZATION}"
        entry = {"id": object_id, "error": facts}
        if len(self.shown) < _MAX_SHOWN:
            self.shown.append(entry)
        if self._descriptor is not None and self.path is not None:
            with naming(self.path):
                Disk().write(self._descriptor, _json_line(entry))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def code(self) -> int:
        """Return the exit code of a run that came to its end."""
        return PARTLY if self.count else OK

    def code_of_get(self, shown: int) -> int:
        """Return the exit code of ``get``: that of the failures if nothing was shown."""
        if not self.count:
            return OK
        return PARTLY if shown or len(self.codes) > 1 else next(iter(self.codes))


def _json_line(value: object) -> bytes:
    from orjson import OPT_NON_STR_KEYS, dumps  # noqa: PLC0415  # only if something fails

    return dumps(value, default=str, option=OPT_NON_STR_KEYS) + b"\n"


@click.command(epilog="Example: persona-share get inq_… --token-file token")
@click.argument("ids", nargs=-1)
@with_token_options
@with_client_options
def get(options: ClientOptions, tokens: TokenOptions, ids: tuple[str, ...]) -> None:
    """Show objects as the API returns them; with --code-file, all that it grants."""
    run(_get(options, tokens, ids), as_json=options.as_json)


async def _get(
    options: ClientOptions, tokens: TokenOptions, ids: tuple[str, ...]
) -> int:
    failures, found = Failures(own_key=tokens.uses_own_key), []
    async with opened(options, tokens) as reader:
        wanted = ids or reader.ids
        if not wanted:
            fail("Pass the ids of objects.")
        batch = reader.fetch(wanted, concurrency=8, max_outage=_GET_MAX_OUTAGE)
        async with batch:
            async for each in batch:
                if isinstance(each, Failed):
                    failures.add(each.id, each.error)
                    continue
                try:
                    found.append(without_urls(each.resource.raw))
                except MalformedResponseError as error:
                    failures.add(each.id, error)
    if options.as_json:
        print_json({"objects": found, "failed": failures.shown})
    else:
        console = Output(soft_wrap=True, highlight=False)
        narrow = (console.encoding or "").lower().replace("-", "") != "utf8"
        for each in found:
            console.print_json(data=_escaped(each), default=str, ensure_ascii=narrow)
        show_failures(failures)
    return failures.code_of_get(len(found))


def _escaped(value: Any) -> Any:
    """Return a JSON value whose texts a terminal cannot interpret."""
    if isinstance(value, str):
        return "".join(
            c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in value
        )
    if isinstance(value, dict):
        return {_escaped(key): _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value


_TIME = click.DateTime(
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"]
)


@click.group("list")
def list_() -> None:
    """List ids of the organization's own objects, one per line."""


@list_.command(
    epilog="Example: persona-share list inquiries --status approved > ids.txt"
)
@click.option("--status", help="Only inquiries with this status.")
@click.option("--created-after", "created_at_start", type=_TIME, help="UTC, ISO 8601.")
@click.option("--created-before", "created_at_end", type=_TIME, help="UTC, ISO 8601.")
@click.option("--account-id", help="Only inquiries of this account.")
@click.option("--reference-id", help="Only inquiries with this reference id.")
@click.option("--limit", type=click.IntRange(min=1), help="Maximum number of ids.")
@with_client_options
def inquiries(options: ClientOptions, limit: int | None, **filters: Any) -> None:
    """List the ids of inquiries, newest first."""
    run(_list(options, limit, filters), as_json=options.as_json)


async def _list(
    options: ClientOptions, limit: int | None, filters: dict[str, Any]
) -> None:
    named = {key: _in_utc(value) for key, value in filters.items() if value}
    found: list[str] = []
    async with options.client() as client:
        async for each in client.inquiries.list(**named):
            found.append(each.id)
            if not options.as_json:
                click.echo(printable(each.id))
            if limit is not None and len(found) >= limit:
                break
    if options.as_json:
        print_json({"ids": found})


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


@click.command(
    epilog="Example: persona-share fetch --ids ids.txt --output people.jsonl "
    "--code-command ./ask-partner"
)
@with_batch_options
@click.option("--output", metavar="FILE", help="File for the rows; without it, stdout.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv"]),
    default="ndjson",
    show_default=True,
    help="One JSON object per line, as received, or one CSV row per object.",
)
@click.option("--fields", metavar="NAMES", help="Only these values: a,b,c.")
@click.option(
    "--checkpoint",
    metavar="FILE",
    help="File that records finished objects; without it, beside --output.",
)
@click.option("--pdf", metavar="FOLDER", help="Save a PDF of each object there.")
@click.option("--files", metavar="FOLDER", help="Save the files of each object there.")
@click.option(
    "--plan",
    is_flag=True,
    help="Print the number of requests and the shortest time; fetch nothing.",
)
@with_token_options
@with_client_options
def fetch(options: ClientOptions, tokens: TokenOptions, **given: Any) -> None:
    """Fetch any number of objects as fast as the rate limit allows.

    Run the same command again to continue after an interruption, a kill or partial
    failures. Addresses of files are left out of the rows; --files saves the files.
    """
    wanted = FetchCommand(**given)
    run(_fetch(options, tokens, wanted), as_json=options.as_json)


@attrs.frozen(kw_only=True)
class FetchCommand:
    """The options of ``fetch``."""

    ids: tuple[str, ...]
    ids_file: str | None
    output: str | None
    form: str
    fields: str | None
    failures_file: str | None
    checkpoint: str | None
    concurrency: int
    file_concurrency: int
    objects_per_token: int
    max_outage: float
    pdf: str | None
    files: str | None
    plan: bool
    quiet: bool

    @property
    def checkpoint_path(self) -> str | None:
        """The checkpoint that was named, or the one beside the output."""
        if self.checkpoint is None and self.output is not None:
            return f"{self.output}.checkpoint"
        return self.checkpoint

    @property
    def has_checkpoint(self) -> bool:
        """Whether an earlier run has created the checkpoint."""
        path = self.checkpoint_path
        return path is not None and os.path.lexists(path)

    @property
    def folders(self) -> dict[str, Path]:
        """The folders of files and PDFs, if they are requested."""
        named = {"files": self.files, "pdf": self.pdf}
        return {name: Path(folder) for name, folder in named.items() if folder}

    def batch_options(self, tokens: TokenOptions) -> dict[str, Any]:
        """Return the arguments of the library's ``fetch``."""
        options: dict[str, Any] = {
            "concurrency": self.concurrency,
            "acknowledge": "explicit",
            "max_outage": self.max_outage,
        }
        if tokens.scoped:
            options["objects_per_token"] = self.objects_per_token
        return options

    def new_checkpoint(self) -> SQLiteCheckpoint | None:
        """Return the checkpoint, which records whether files are saved."""
        if self.checkpoint_path is None:
            return None
        return SQLiteCheckpoint(self.checkpoint_path, requested=self.folders)

    def writer(self) -> OutputFile | OutputStream:
        """Return where the rows go."""
        names = [each.strip() for each in (self.fields or "").split(",")]
        form = row_format(self.form, [each for each in names if each])
        if self.output is None:
            return OutputStream(sys.stdout.buffer, form)
        return OutputFile(self.output, form)


async def _fetch(
    options: ClientOptions, tokens: TokenOptions, wanted: FetchCommand
) -> int:
    path = None if wanted.failures_file is None else Path(wanted.failures_file)
    failures = Failures(path, own_key=tokens.uses_own_key)
    if wanted.plan and tokens.code_file is not None:
        fail("--plan would exchange the codes of --code-file, which work only once.")
    writer, checkpoint = wanted.writer(), wanted.new_checkpoint()
    file = None if wanted.ids_file is None else ids_from(wanted.ids_file)
    async with AsyncExitStack() as stack:
        if not wanted.plan:  # lock and check the files before a code is exchanged
            await _prepare(wanted, writer, checkpoint, stack)
        reader = await stack.enter_async_context(opened(options, tokens))
        ids = ids_of(wanted.ids, reader) if file is None else file
        batch = reader.fetch(ids, checkpoint=checkpoint, **wanted.batch_options(tokens))
        if wanted.plan:
            await reader.client.rate_limits.list()  # the response shows the limit
            _show_plan(batch, options)
            return OK
        saver = Saver(
            batch=batch,
            output=writer,
            attach=_attachments(reader, batch, wanted),
            concurrency=_OBJECTS_PER_FILE * wanted.file_concurrency,
            on_failed=failures.add,
        )
        async with batch:
            if isinstance(writer, OutputFile):
                await _open_output(batch, writer)
            failures.open()
            try:
                async with progress_shown(batch.progress, quiet=wanted.quiet):
                    await saver.run()
            finally:
                failures.close()
                if not isinstance(sys.exc_info()[1], BrokenPipeError):
                    _show_report(batch, saver, failures, options)
    return failures.code()


async def _prepare(
    wanted: FetchCommand,
    writer: OutputFile | OutputStream,
    checkpoint: SQLiteCheckpoint | None,
    stack: AsyncExitStack,
) -> None:
    """Lock the checkpoint, check the output, and create the folders."""
    if isinstance(writer, OutputFile) and not wanted.has_checkpoint:
        with _not_overwriting():  # a refusal leaves no checkpoint behind
            writer.check(None)
    if checkpoint is not None:
        await checkpoint.open()
        stack.callback(checkpoint.close)
        if isinstance(writer, OutputFile):
            position = await checkpoint.output()
            with _not_overwriting():
                writer.check(position)
    files = [each for each in (wanted.output, wanted.failures_file) if each]
    for folder in (*wanted.folders.values(), *(Path(each).parent for each in files)):
        make_folder(folder)


async def _open_output(batch: Batch[Any], writer: OutputFile) -> None:
    """Open the output where the checkpoint ends, or record that it is new."""
    position = await batch.output_position()
    with _not_overwriting():
        await writer.open(position)
    if position is None:
        await batch.acknowledge(output=writer.start())


@contextmanager
def _not_overwriting() -> Iterator[None]:
    """Stop the command if the output has rows that no checkpoint knows."""
    try:
        yield
    except FileExistsError as error:
        fail(f"{error.strerror}: it is not overwritten.")


def _attachments(
    reader: ObjectReader, batch: Batch[Any], wanted: FetchCommand
) -> Attach | None:
    """Return a function that saves the PDF and the files of an object, if requested.

    File names are made of ids and attribute names, never of names that the service
    sent.
    """
    if not wanted.folders:
        return None
    clock = reader.client.context.runtime.clock
    outages = OutageMonitor(
        clock,
        threshold=min(wanted.file_concurrency, 4),
        max_outage=wanted.max_outage,
    )
    pool = FilePool(
        Downloads(reader.accessors_under),
        Persistent(clock=clock, outages=outages),
        Disk(),
        wanted.file_concurrency,
    )

    async def attach(found: Resource) -> list[Path]:
        saved = await pool.save_all(found, batch, **wanted.folders, sync_folders=True)
        return sorted(each.path for _, each in saved)

    return attach


def ids_of(ids: tuple[str, ...], reader: ObjectReader) -> tuple[str, ...]:
    """Return the ids that the arguments name, or those of the codes."""
    return ids or reader.ids or fail("Pass ids, or a file of ids with --ids.")


def _show_plan(batch: Batch[Any], options: ClientOptions) -> None:
    plan = batch.plan()
    least = plan.shortest_for
    facts = {
        "objects": plan.objects,
        "tokens": plan.tokens,
        "limit": plan.limit,
        "shortest_seconds": None if least is None else least.total_seconds(),
    }
    if options.as_json:
        print_json(facts)
        return
    click.echo(f"objects   {_shown(plan.objects)}")
    click.echo(f"tokens    {_shown(plan.tokens)}")
    click.echo(f"limit     {_shown(plan.limit)} requests a minute")
    click.echo(f"at least  {_shown(least)}")


def _shown(value: object) -> object:
    return "not known" if value is None else value


def _show_report(
    batch: Batch[Any], saver: Saver, failures: Failures, options: ClientOptions
) -> None:
    report = attrs.asdict(batch.report())
    report |= {"fetched": saver.saved, "failed": failures.count}
    if options.as_json:
        to_file = isinstance(saver.output, OutputFile)
        print_json(report | {"failures": failures.shown}, err=not to_file)
        return
    click.echo(
        f"fetched {saver.saved}, failed {failures.count}, skipped "
        f"{report['skipped']} in {report['seconds']:.1f} s; "
        f"{counted(report['tokens'], 'token')}, "
        f"{counted(report['retries'], 'retry', 'retries')}",
        err=True,
    )
    show_failures(failures)


def show_failures(failures: Failures) -> None:
    """Print the first failures, and each advice once."""
    for each in failures.shown[:10]:
        error = each["error"]
        shown_id = printable(each["id"])
        click.echo(f"failed {shown_id}: {printable(error['message'])}", err=True)
    if failures.count > 10:  # noqa: PLR2004  # as many as fit on a screen
        where = f"; all are in {failures.path}" if failures.path else ""
        click.echo(f"… and {failures.count - 10} more{where}", err=True)
    for advice in dict.fromkeys(each["error"]["advice"] for each in failures.shown):
        if advice:
            click.echo(advice, err=True)
