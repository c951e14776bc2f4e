"""``authorize`` and ``exchange``: a code for a partner, and a token for a code."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from persona_share import AccessToken, Scope, ScopedTokenManager, Secret
from persona_share.cli.client_options import ClientOptions, with_client_options
from persona_share.cli.exit_codes import INTERRUPTED, fail, print_json, run
from persona_share.cli.secret_input import read_secret, require_terminal, write_secret


_MASK = "**********"


def _showing(command: Any) -> Any:
    for option in (
        click.option("--reveal", is_flag=True, help="Print it, to a terminal only."),
        click.option(
            "--force",
            is_flag=True,
            help="Print it even if the output is not a terminal.",
        ),
    ):
        command = option(command)
    return command


@click.command(
    epilog="Example: persona-share authorize --client-id org_… --code-file code inq_…"
)
@click.argument("ids", nargs=-1)
@click.option("--client-id", required=True, help="The partner's organization, org_….")
@click.option("--scope", "text", help="permission:id pairs, instead of ids to read.")
@click.option("--scope-file", metavar="FILE", help="File with the scope, - for stdin.")
@click.option(
    "--print",
    "bare",
    type=click.Choice(["code"]),
    help="Print the code and nothing else, for --code-command of the partner.",
)
@click.option(
    "--code-file", metavar="FILE", help="New file for the code, of mode 0600."
)
@_showing
@with_client_options
def authorize(options: ClientOptions, **given: Any) -> None:
    """Make an authorization code for a partner: allow it to read these objects."""
    if given["bare"]:
        if sys.stdout.isatty() and not given["force"]:
            fail("--print code is for a program; on a terminal use --reveal.")
    else:
        _require_place(given["code_file"], "--code-file", given)
    if given["scope_file"] is not None and not given["text"]:
        given["text"] = _scope_text(given["scope_file"])
    if bool(given["ids"]) == bool(given["text"]):
        fail("Pass the ids to read, --scope, or --scope-file.")
    run(_authorize(options, **given), as_json=options.as_json)


def _scope_text(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8.")


async def _authorize(options: ClientOptions, **given: Any) -> None:
    scope = Scope.parse(given["text"]) if given["text"] else Scope.read(*given["ids"])
    async with options.client() as source:
        code = await source.oauth.authorize(client_id=given["client_id"], scope=scope)
    if given["bare"]:
        if given["code_file"] is not None:
            write_secret(given["code_file"], Secret(code.reveal()))
        click.echo(code.reveal())
        return
    facts = {
        "scope": str(scope),
        "expires_at": code.expires_at.isoformat() if code.expires_at else None,
    }
    _hand_over("code", code, facts, options, given)


@click.command(
    epilog="Example: persona-share exchange --code-file code --token-file token"
)
@click.option(
    "--code-file",
    metavar="FILE",
    help="File of the code, - for stdin; else PERSONA_CODE.",
)
@click.option(
    "--token-file", metavar="FILE", help="New file for the token, of mode 0600."
)
@_showing
@with_client_options
def exchange(options: ClientOptions, **given: Any) -> None:
    """Exchange an authorization code for an access token.

    A code works once. An interrupt waits for an exchange that was sent, so that its
    token is not lost.
    """
    _require_place(given["token_file"], "--token-file", given)
    code = read_secret("authorization code", given.pop("code_file"), "PERSONA_CODE")
    run(_exchange(options, code, **given), as_json=options.as_json)


async def _exchange(options: ClientOptions, code: Secret, **given: Any) -> int | None:
    landing = asyncio.create_task(_token(options, code))
    interrupted = None
    try:
        token = await asyncio.shield(landing)
    except asyncio.CancelledError:
        if landing.cancelled():
            raise
        token = await landing
        interrupted = INTERRUPTED
    facts = {
        "scope": str(token.scope),
        "expires_at": token.expires_at.isoformat(),
        "expires_in": int(token.expires_in.total_seconds()),
    }
    _hand_over("token", token, facts, options, given)
    return interrupted


async def _token(options: ClientOptions, code: Secret) -> AccessToken:
    async with options.client() as client, ScopedTokenManager(client) as manager:
        return await manager.token(await manager.exchange(code))


def _require_place(path: str | None, option: str, given: dict[str, Any]) -> None:
    """Refuse to obtain a secret that nobody would ever see."""
    require_terminal(reveal=given["reveal"], force=given["force"])
    if path is None and not given["reveal"]:
        fail(f"Choose where to write it: {option} FILE, or --reveal.")


def _hand_over(
    name: str,
    secret: Secret | AccessToken,
    facts: dict[str, Any],
    options: ClientOptions,
    given: dict[str, Any],
) -> None:
    path = given[f"{name}_file"]
    if path is not None:
        write_secret(path, Secret(secret.reveal()))
    shown = secret.reveal() if given["reveal"] else _MASK
    if options.as_json:
        print_json({name: shown, f"{name}_file": path, **facts})
        return
    click.echo(f"{name:<10} {shown}" + (f"  (in {path})" if path else ""))
    for key, value in facts.items():
        click.echo(f"{key:<10} {value}")
