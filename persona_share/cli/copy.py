"""``copy``: whole people into a folder, and whether a copy is still right."""

import sys
from pathlib import Path
from typing import Any

import attrs
import rich_click as click

from persona_share import Failed
from persona_share.batch import Copy, verify_copy
from persona_share.batch.batch import MAX_OUTAGE
from persona_share.batch.copy import FOLLOW
from persona_share.cli.client_options import ClientOptions, with_client_options
from persona_share.cli.exit_codes import OK, OTHER, fail, print_json, printable, run
from persona_share.cli.fetch import Failures, ids_of, show_failures
from persona_share.cli.progress import progress_shown
from persona_share.cli.token_options import TokenOptions, opened, with_token_options


@click.command(
    epilog="Example: persona-share copy --ids ids.txt --into people "
    "--code-command ./ask-partner"
)
@click.argument("ids", nargs=-1)
@click.option(
    "--ids", "ids_file", metavar="FILE", help="File of ids, one per line, - for stdin."
)
@click.option(
    "--into",
    metavar="FOLDER",
    required=True,
    help="Folder of the copy; each person gets a folder in it.",
)
@click.option(
    "--follow",
    default=",".join(FOLLOW),
    show_default=True,
    help="Relationships to copy.",
)
@click.option("--no-files", is_flag=True, help="Copy no photos, documents and videos.")
@click.option("--pdf", is_flag=True, help="Save a PDF of each object that has one.")
@click.option(
    "--refresh", is_flag=True, help="Copy people again whose inquiry has changed."
)
@click.option(
    "--verify", is_flag=True, help="Compare a copy with its manifests; send nothing."
)
@click.option(
    "--failures",
    "failures_file",
    metavar="FILE",
    help="File for failed ids with their errors, one JSON object per line.",
)
@click.option(
    "--concurrency",
    default=32,
    show_default=True,
    help="Number of calls at the same time.",
)
@click.option(
    "--file-concurrency",
    default=16,
    show_default=True,
    help="Number of downloads at the same time.",
)
@click.option(
    "--objects-per-token",
    default=100,
    show_default=True,
    help="Number of objects per code.",
)
@click.option(
    "--max-outage",
    default=MAX_OUTAGE,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after this many seconds of outage; run again to continue.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@with_token_options
@with_client_options
def copy(options: ClientOptions, tokens: TokenOptions, **given: Any) -> None:
    """Copy inquiries with all that belongs to them, one folder per person.

    A person is done when everything is on the disk. Run the same command again to
    continue. Relationships that the partner does not share are reported as such.
    """
    if given["verify"]:
        raise SystemExit(_verify(options, given["into"]))
    run(_copy(options, tokens, **given), as_json=options.as_json)


def _verify(options: ClientOptions, into: str) -> int:
    if not Path(into).is_dir():
        fail(f"{into} is not a folder.")
    report = verify_copy(into)
    if options.as_json:
        print_json(attrs.asdict(report))
    else:
        for each in report.problems:
            click.echo(printable(each))
        click.echo(
            f"{report.people} people, {report.files} files, "
            f"{len(report.problems)} problems"
        )
    return OTHER if report.problems else OK


async def _copy(options: ClientOptions, tokens: TokenOptions, **given: Any) -> int:
    named = given["failures_file"]
    failures = Failures(None if named is None else Path(named))
    arguments: dict[str, Any] = {
        "into": given["into"],
        "follow": [each for x in given["follow"].split(",") if (each := x.strip())],
        "files": not given["no_files"],
        "pdf": given["pdf"],
        "refresh": given["refresh"],
        "concurrency": given["concurrency"],
        "file_concurrency": given["file_concurrency"],
        "max_outage": given["max_outage"],
    }
    async with opened(options, tokens) as reader:
        ids = ids_of(given["ids"], given["ids_file"], reader)
        if reader.manager is not None:
            arguments["objects_per_token"] = given["objects_per_token"]
            arguments["permission"] = tokens.permission
            people = reader.manager.copy(ids, **arguments)
        else:
            people = reader.client.copy(ids, **arguments)
        async with people:
            failures.open()
            not_covered = 0
            try:
                async with progress_shown(people.progress, quiet=given["quiet"]):
                    async for each in people:
                        if isinstance(each, Failed):
                            failures.add(each.id, each.error)
                        else:
                            found = each.relationships.values()
                            not_covered += any(x.missing for x in found)
            finally:
                failures.close()
                if not isinstance(sys.exc_info()[1], BrokenPipeError):
                    _show_report(people, failures, not_covered, options)
        report = people.report()
    return failures.code(report.copied + report.unchanged)


def _show_report(
    people: Copy, failures: Failures, not_covered: int, options: ClientOptions
) -> None:
    report = people.report()
    if options.as_json:
        facts = attrs.asdict(report) | {"people_with_missing_objects": not_covered}
        print_json(facts | {"failures": failures.shown})
        return
    click.echo(
        f"copied {report.copied}, unchanged {report.unchanged}, failed {report.failed}, "
        f"skipped {report.skipped} in {report.seconds:.1f} s; {report.objects} objects, "
        f"{report.files} files, {report.tokens} tokens",
        err=True,
    )
    if not_covered:
        click.echo(
            f"{not_covered} people have objects that are not shared or not found; "
            "their manifests name them",
            err=True,
        )
    show_failures(failures)
