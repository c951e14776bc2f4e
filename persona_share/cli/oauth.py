"""``authorize`` and ``exchange``: create a code for a partner; exchange one for a token."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from persona_share import AccessToken, Scope, ScopedTokenManager, Secret
from persona_share.cli.exit_codes import (
    INTERRUPTED,
    fail,
    print_json,
    run,
    standard_input,
)
from persona_share.cli.options import (
    ClientOptions,
    new_secret_file,
    read_secret,
    require_terminal,
    with_client_options,
    with_reveal,
)


_MASK = "**********"


@click.command(
    epilog="Example: persona-share authorize --client-id org_… --code-file code inq_…"
)
@click.argument("ids", nargs=-1)
@click.option("--client-id", required=True, help="The partner's organization, org_….")
@click.option("--scope", "text", help="Pairs permission:id, instead of ids to read.")
@click.option("--scope-file", metavar="FILE", help="File with the scope, - for stdin.")
@click.option(
    "--print",
    "bare",
    type=click.Choice(["code"]),
    help="Print the code and nothing else, for the partner's --code-command.",
)
@click.option(
    "--code-file", metavar="FILE", help="New file for the code, of mode 0600."
)
@with_reveal
@with_client_options
def authorize(options: ClientOptions, **given: Any) -> None:
    """Create an authorization code that lets a partner read these objects."""
    if given["bare"]:
        if sys.stdout.isatty() and not given["force"]:
            fail("--print code is for a program; on a terminal use --reveal.")
    else:
        _require_destination(given["code_file"], "--code-file", given)
    if given["scope_file"] is not None:
        if given["text"]:
            fail("Pass --scope or --scope-file, not both.")
        given["text"] = _scope_text(given["scope_file"])
    if bool(given["ids"]) == bool(given["text"]):
        fail("Pass the ids to read, --scope, or --scope-file.")
    run(_authorize(options, **given), as_json=options.as_json)


def _scope_text(file: str) -> str:
    try:
        if file == "-":
            return standard_input().read()
        return Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8.")


async def _authorize(options: ClientOptions, **given: Any) -> None:
    scope = Scope.parse(given["text"]) if given["text"] else Scope.read(*given["ids"])
    with new_secret_file(given["code_file"]) as write:
        async with options.client() as source:
            code = await source.oauth.authorize(
                client_id=given["client_id"], scope=scope
            )
        write(Secret(code.reveal()))
    if given["bare"]:
        click.echo(code.reveal())
        return
    facts = {
        "scope": str(scope),
        "expires_at": code.expires_at.isoformat() if code.expires_at else None,
    }
    _print_result("code", code, facts, options, given)


@click.command(
    epilog="Example: persona-share exchange --code-file code --token-file token"
)
@click.option(
    "--code-file",
    metavar="FILE",
    help="File with the code, - for stdin; without it, PERSONA_CODE is read.",
)
@click.option(
    "--token-file", metavar="FILE", help="New file for the token, of mode 0600."
)
@with_reveal
@with_client_options
def exchange(options: ClientOptions, **given: Any) -> None:
    """Exchange an authorization code for an access token.

    A code works once. An interrupted command waits for an exchange that was sent, so
    that its token is not lost.
    """
    _require_destination(given["token_file"], "--token-file", given)
    code = read_secret(
        "authorization code", given.pop("code_file"), "--code-file", "PERSONA_CODE"
    )
    run(_exchange(options, code, **given), as_json=options.as_json)


async def _exchange(options: ClientOptions, code: Secret, **given: Any) -> int | None:
    interrupted = None
    with new_secret_file(given["token_file"]) as write:
        exchange = asyncio.create_task(_token(options, code))
        try:
            token = await asyncio.shield(exchange)
        except asyncio.CancelledError:
            if exchange.cancelled():
                raise
            token = await exchange
            interrupted = INTERRUPTED
        write(Secret(token.reveal()))
    facts = {
        "scope": str(token.scope),
        "expires_at": token.expires_at.isoformat(),
        "expires_in": int(token.expires_in.total_seconds()),
    }
    _print_result("token", token, facts, options, given)
    return interrupted


async def _token(options: ClientOptions, code: Secret) -> AccessToken:
    async with options.client() as client, ScopedTokenManager(client) as manager:
        return await manager.token(await manager.exchange(code))


def _require_destination(path: str | None, option: str, given: dict[str, Any]) -> None:
    """Refuse to obtain a secret that is neither saved nor shown."""
    require_terminal(reveal=given["reveal"], force=given["force"])
    if path is None and not given["reveal"]:
        fail(f"Choose where to write it: {option} FILE, or --reveal.")


def _print_result(
    name: str,
    secret: Secret | AccessToken,
    facts: dict[str, Any],
    options: ClientOptions,
    given: dict[str, Any],
) -> None:
    path = given[f"{name}_file"]
    shown = secret.reveal() if given["reveal"] else _MASK
    if options.as_json:
        print_json({name: shown, f"{name}_file": path, **facts})
        return
    click.echo(f"{name:<10} {shown}" + (f"  (in {path})" if path else ""))
    for key, value in facts.items():
        click.echo(f"{key:<10} {value}")
