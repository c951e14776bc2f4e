"""``copy``: copy whole people into a folder, and verify a copy."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import rich_click as click

from persona_share import Failed
from persona_share._transport.private_files import make_folder
from persona_share.batch import Copy, verify_copy
from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.batch.copy import CHECKPOINT, FOLLOW
from persona_share.cli.exit_codes import (
    OK,
    OTHER,
    counted,
    print_json,
    printable,
    run,
)
from persona_share.cli.fetch import Failures, ids_of, show_failures
from persona_share.cli.id_input import IdStream, ids_from
from persona_share.cli.options import (
    ClientOptions,
    with_batch_options,
    with_client_options,
)
from persona_share.cli.progress import progress_shown
from persona_share.cli.token_options import TokenOptions, opened, with_token_options


@click.command(
    epilog="Example: persona-share copy --ids ids.txt --into people "
    "--code-command ./ask-partner"
)
@with_batch_options
@click.option(
    "--into",
    metavar="FOLDER",
    required=True,
    help="Folder in which every person gets a folder.",
)
@click.option(
    "--follow",
    default=",".join(FOLLOW),
    show_default=True,
    metavar="NAMES",
    help="Relationships whose objects are copied: a,b,c.",
)
@click.option("--no-files", is_flag=True, help="Copy no files, such as photos.")
@click.option("--pdf", is_flag=True, help="Save a PDF of each object that has one.")
@click.option("--refresh", is_flag=True, help="Copy changed and damaged people again.")
@click.option(
    "--verify",
    is_flag=True,
    help="Compare a copy with its manifests, and with the ids if there are any; send "
    "nothing. With --refresh: read every file to find damaged people.",
)
@with_token_options
@with_client_options
def copy(options: ClientOptions, tokens: TokenOptions, **given: Any) -> None:
    """Copy inquiries with all that belongs to them, one folder per person.

    A person is done when everything is on the disk. Run the same command again to
    continue. Relationships that the partner does not share are reported as such.
    """
    if given["verify"] and not given["refresh"]:
        run(
            _verify(options, given["into"], given["ids"], given["ids_file"]),
            as_json=options.as_json,
        )
    run(_copy(options, tokens, **given), as_json=options.as_json)


async def _verify(
    options: ClientOptions, into: str, ids: tuple[str, ...], file: str | None
) -> int:
    wanted: Iterable[str] | None = ids or None
    if file is not None:
        found = ids_from(file)
        wanted = (
            [each async for each in found] if isinstance(found, IdStream) else found
        )
    report = verify_copy(into, wanted)
    if options.as_json:
        print_json(attrs.asdict(report))
    else:
        for each in report.problems:
            click.echo(printable(each))
        click.echo(
            f"{counted(report.people, 'person', 'people')}, "
            f"{counted(report.objects, 'object')}, {counted(report.files, 'file')}, "
            f"{counted(len(report.problems), 'problem')}"
        )
    return OTHER if report.problems else OK


async def _copy(options: ClientOptions, tokens: TokenOptions, **given: Any) -> int:
    named = given["failures_file"]
    path = None if named is None else Path(named)
    failures = Failures(path, own_key=tokens.uses_own_key)
    arguments: dict[str, Any] = {
        "into": given["into"],
        "follow": [each for x in given["follow"].split(",") if (each := x.strip())],
        "files": not given["no_files"],
        "pdf": given["pdf"],
        "refresh": given["refresh"],
        "verify": given["verify"],
        "concurrency": given["concurrency"],
        "file_concurrency": given["file_concurrency"],
        "max_outage": given["max_outage"],
    }
    file = None if given["ids_file"] is None else ids_from(given["ids_file"])
    # Another copy that uses the folder is noticed before a code is exchanged.
    checkpoint = SQLiteCheckpoint(Path(given["into"]) / CHECKPOINT)
    await checkpoint.open()
    checkpoint.close()
    if path is not None:
        make_folder(path.parent)
    async with opened(options, tokens) as reader:
        ids = ids_of(given["ids"], reader) if file is None else file
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
    return failures.code()


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
        f"skipped {report.skipped} in {report.seconds:.1f} s; "
        f"{counted(report.objects, 'object')}, {counted(report.files, 'file')}, "
        f"{counted(report.tokens, 'token')}",
        err=True,
    )
    if not_covered:
        click.echo(
            f"objects of {counted(not_covered, 'person', 'people')} are not shared or "
            "not found; their manifests name them",
            err=True,
        )
    show_failures(failures)
