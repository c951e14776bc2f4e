"""Under whose credential objects are read: a key, a token, or codes for tokens."""

import asyncio
import functools
import os
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import attrs
import rich_click as click

from persona_share import (
    AuthorizationCode,
    PersonaClient,
    Scope,
    ScopedSession,
    ScopedTokenManager,
    Secret,
)
from persona_share.batch import Batch, Ids
from persona_share.cli.client_options import ClientOptions
from persona_share.cli.exit_codes import fail
from persona_share.cli.secret_input import read_secret, read_secret_lines


SOURCE_KEY: Final = "PERSONA_SOURCE_API_KEY"


@attrs.frozen(kw_only=True)
class ObjectReader:
    """Fetches objects, and answers what reads one of them again, for its files."""

    fetch: Callable[..., Batch[Any]]
    surface_for: Callable[[str], PersonaClient | ScopedSession]
    client: PersonaClient
    #: What can be fetched where no ids are named.
    ids: tuple[str, ...] = ()


def with_token_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where tokens come from, and hand them over as one."""
    names = [field.name for field in attrs.fields(TokenOptions)]

    @functools.wraps(command)
    def wrapped(*arguments: Any, **given: Any) -> Any:
        tokens = TokenOptions(**{name: given.pop(name) for name in names})
        return command(*arguments, tokens, **given)

    for option in (
        click.option(
            "--token-file", metavar="FILE", help="File of an access token, - for stdin."
        ),
        click.option(
            "--code-file",
            metavar="FILE",
            help="File of delivered codes, one a line, - for stdin.",
        ),
        click.option(
            "--code-command",
            metavar="COMMAND",
            help="Is given a scope on stdin and prints a code for it.",
        ),
        click.option(
            "--client-id",
            help=f"This organization's id: codes are made with {SOURCE_KEY}.",
        ),
        click.option(
            "--source-key-file",
            metavar="FILE",
            help=f"File of the source's API key, instead of {SOURCE_KEY}.",
        ),
        click.option(
            "--permission", help="To ask for; else the ids' prefixes tell it."
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


@attrs.frozen(kw_only=True)
class TokenOptions:
    """Where tokens come from, as the options say."""

    token_file: str | None
    code_file: str | None
    code_command: str | None
    client_id: str | None
    source_key_file: str | None
    permission: str | None

    def __attrs_post_init__(self) -> None:
        """Refuse two ways at once."""
        ways = (self.token_file, self.code_file, self.code_command, self.client_id)
        if sum(each is not None for each in ways) > 1:
            fail(
                "Choose one of --token-file, --code-file, --code-command, --client-id."
            )

    @property
    def scoped(self) -> bool:
        """Whether there are codes, and so tokens of our own."""
        ways = (self.code_file, self.code_command, self.client_id)
        return any(each is not None for each in ways)

    def key(self) -> Secret | None:
        """Answer the access token that takes the place of the API key."""
        if self.token_file is None:
            return None
        return Secret(read_secret_lines("access token", self.token_file)[0])

    def delivered(self) -> list[Secret]:
        """Answer the codes that were delivered."""
        if self.code_file is None:
            return []
        return [Secret(each) for each in read_secret_lines("code", self.code_file)]

    def scope(self, object_id: str) -> Scope:
        """Answer what reads one object."""
        if self.permission is not None:
            return Scope.of(self.permission, object_id)
        return Scope.read(object_id)


@asynccontextmanager
async def opened(
    options: ClientOptions, tokens: TokenOptions
) -> AsyncIterator[ObjectReader]:
    """Open what the options say."""
    delivered = tokens.delivered()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(options.client(tokens.key()))
        if not tokens.scoped:
            yield ObjectReader(
                fetch=client.fetch, surface_for=lambda _: client, client=client
            )
            return
        codes = None
        if tokens.code_command is not None:
            codes = _code_command(tokens.code_command)
        elif tokens.client_id is not None:
            file = tokens.source_key_file
            source_key = read_secret("source's API key", file, SOURCE_KEY)
            source = await stack.enter_async_context(options.client(source_key))
            codes = _authorize_with(source, tokens.client_id)
        manager = await stack.enter_async_context(
            ScopedTokenManager(client, codes=codes)
        )
        granted = [await manager.exchange(each) for each in delivered]

        def fetch(ids: Ids, **options: Any) -> Batch[Any]:
            """Fetch with a token for every group."""
            return manager.fetch(ids, permission=tokens.permission, **options)

        yield ObjectReader(
            fetch=fetch,
            surface_for=lambda object_id: manager.session(tokens.scope(object_id)),
            client=client,
            ids=tuple(each for scope in granted for each in scope.object_ids()),
        )


def _authorize_with(source: PersonaClient, client_id: str) -> Any:
    async def authorize(scope: Scope) -> AuthorizationCode:
        return await source.oauth.authorize(client_id=client_id, scope=scope)

    return authorize


def _code_command(command: str) -> Any:
    """Answer a code source that runs a command: scope on stdin, code on stdout."""
    words = shlex.split(command)
    if not words:
        message = "--code-command is empty."
        fail(message)
    # The command speaks for the partner; our own keys are none of its business.
    ours = {"PERSONA_API_KEY", SOURCE_KEY, "PERSONA_CODE", "PERSONA_WEBHOOK_SECRET"}
    environment = {k: v for k, v in os.environ.items() if k not in ours}

    async def ask(scope: Scope) -> str:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            output, _ = await process.communicate(f"{scope}\n".encode())
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            message = f"--code-command ended with exit code {process.returncode}"
            raise ChildProcessError(message)
        return output.decode().strip()

    return ask
