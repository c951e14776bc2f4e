"""``get`` and ``fetch``: a few objects to look at, and any number into a file."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import rich_click as click
from rich.console import Console

from persona_share import Failed
from persona_share.batch import Batch
from persona_share.cli.attachments import save_files, save_pdf
from persona_share.cli.client_options import ClientOptions, with_client_options
from persona_share.cli.exit_codes import (
    OK,
    PARTLY,
    exit_code_of,
    facts_of,
    fail,
    print_json,
    run,
)
from persona_share.cli.jsonl import JsonLines, without_urls
from persona_share.cli.progress import progress_bar
from persona_share.cli.token_options import (
    ObjectReader,
    TokenOptions,
    opened,
    with_token_options,
)
from persona_share.errors import PersonaError
from persona_share.model.resource import Resource


#: More reasons than that are counted, and not told one by one.
_MOST_TOLD: Final = 100


@attrs.define
class Failures:
    """What did not come, for the report and the exit code."""

    told: list[dict[str, Any]] = attrs.field(factory=list)
    codes: set[int] = attrs.field(factory=set)
    count: int = 0

    def note(self, object_id: str, error: BaseException) -> None:
        """Keep what went wrong with an object."""
        self.count += 1
        self.codes.add(exit_code_of(error))
        if len(self.told) < _MOST_TOLD:
            self.told.append({"id": object_id, "error": facts_of(error)})

    def code(self, fetched: int) -> int:
        """Answer the exit code: that of the failures if nothing else came."""
        if not self.count:
            return OK
        return PARTLY if fetched or len(self.codes) > 1 else next(iter(self.codes))


@click.command(epilog="Example: persona-share get inq_… --token-file token")
@click.argument("ids", nargs=-1)
@with_token_options
@with_client_options
def get(options: ClientOptions, tokens: TokenOptions, ids: tuple[str, ...]) -> None:
    """Show objects as the API has them; with --code-file, all that it grants."""
    run(_get(options, tokens, ids), as_json=options.as_json)


async def _get(
    options: ClientOptions, tokens: TokenOptions, ids: tuple[str, ...]
) -> int:
    failures, found = Failures(), []
    async with opened(options, tokens) as shared:
        async for each in shared.fetch(_wanted(ids or shared.ids), concurrency=8):
            if isinstance(each, Failed):
                failures.note(each.id, each.error)
            else:
                found.append(without_urls(each.resource.raw))
    if options.as_json:
        print_json({"objects": found, "failed": failures.told})
    else:
        console = Console(soft_wrap=True, highlight=False)
        for each in found:
            console.print_json(data=each, default=str)
        _tell(failures)
    return failures.code(len(found))


@click.command(
    epilog="Example: persona-share fetch --ids ids.txt --output people.jsonl "
    "--code-command ./ask-partner"
)
@click.argument("ids", nargs=-1)
@click.option(
    "--ids", "ids_file", metavar="FILE", help="File of ids, one a line, - for stdin."
)
@click.option("--output", metavar="FILE", help="JSON lines go there; else to stdout.")
@click.option(
    "--checkpoint",
    metavar="FILE",
    help="What is done already; beside --output unless it is named.",
)
@click.option("--concurrency", default=32, show_default=True, help="Calls at once.")
@click.option(
    "--objects-per-token",
    default=100,
    show_default=True,
    help="Objects that share a code.",
)
@click.option("--pdf", metavar="FOLDER", help="Save a PDF of each object there.")
@click.option("--files", metavar="FOLDER", help="Save the files of each object there.")
@click.option("--plan", is_flag=True, help="Say what it takes, and fetch nothing.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@with_token_options
@with_client_options
def fetch(options: ClientOptions, tokens: TokenOptions, **given: Any) -> None:
    """Fetch any number of objects as JSON lines, at the rate that the limit allows.

    The same command once more goes on where it was interrupted, killed or partly
    failed. The addresses of files are left out of the lines; --files fetches them.
    """
    run(_fetch(options, tokens, **given), as_json=options.as_json)


async def _fetch(
    options: ClientOptions,
    tokens: TokenOptions,
    *,
    ids: tuple[str, ...],
    ids_file: str | None,
    output: str | None,
    checkpoint: str | None,
    concurrency: int,
    objects_per_token: int,
    pdf: str | None,
    files: str | None,
    plan: bool,
    quiet: bool,
) -> int:
    if checkpoint is None and output is not None:
        checkpoint = f"{output}.checkpoint"
    async with opened(options, tokens) as shared:
        wanted = _ids(ids, ids_file, shared)
        batching: dict[str, Any] = {
            "concurrency": concurrency,
            "checkpoint": checkpoint,
        }
        if tokens.scoped:
            batching["objects_per_token"] = objects_per_token
        batch = shared.fetch(wanted, **batching)
        if plan:
            await shared.client.rate_limits.list()  # its answer tells the limit
            _show_plan(batch, options)
            return OK
        lines = JsonLines(output, checkpoint)
        failures = Failures()
        try:
            if lines.last is not None:
                await batch.acknowledge(lines.last)
            async with progress_bar(batch, quiet=quiet):
                async for each in batch:
                    if isinstance(each, Failed):
                        failures.note(each.id, each.error)
                    else:
                        await _beside(each.resource, shared, pdf, files, failures)
                        lines.write(each.resource)
        finally:
            lines.close()
            await batch.aclose()
    _show_report(batch, failures, options, to_file=output is not None)
    return failures.code(batch.report().fetched)


async def _beside(
    found: Resource,
    shared: ObjectReader,
    pdf: str | None,
    files: str | None,
    failures: Failures,
) -> None:
    """Save what lies beside a line; what cannot be saved is told, the line is kept."""
    try:
        if pdf is not None:
            await save_pdf(shared.surface_for(found.id), found.id, Path(pdf))
        if files is not None:
            await save_files(shared.client, found, Path(files))
    except (PersonaError, OSError) as error:
        failures.note(found.id, error)


@attrs.frozen
class _IdFile:
    """The ids in a file, which is read as they are needed."""

    path: Path

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8") as file:
            yield from _words(file)


def _words(lines: Iterable[str]) -> Iterator[str]:
    return (line.strip() for line in lines if line.strip())


def _ids(ids: tuple[str, ...], file: str | None, shared: ObjectReader) -> Iterable[str]:
    if file is None:
        return _wanted(ids or shared.ids)
    if ids:
        message = "Name ids, or a file of ids, not both."
        fail(message)
    return _words(sys.stdin) if file == "-" else _IdFile(Path(file))


def _wanted(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not ids:
        message = "Name the ids of objects, or a file of them with --ids."
        fail(message)
    return ids


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
    batch: Batch[Any], failures: Failures, options: ClientOptions, *, to_file: bool
) -> None:
    report = batch.report()
    if options.as_json:
        facts = attrs.asdict(report) | {"failures": failures.told}
        print_json(facts, err=not to_file)
        return
    click.echo(
        f"fetched {report.fetched}, failed {report.failed}, skipped {report.skipped} "
        f"in {report.seconds:.1f} s; {report.tokens} tokens, {report.retries} retries",
        err=True,
    )
    _tell(failures)


def _tell(failures: Failures) -> None:
    for each in failures.told[:10]:
        error = each["error"]
        click.echo(f"failed {each['id']}: {error['message']}", err=True)
    if failures.count > 10:  # noqa: PLR2004  # as many as fit on a screen
        click.echo(f"… and {failures.count - 10} more", err=True)
