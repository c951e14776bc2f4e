"""The options that say which credential reads objects: a key, a token, or codes."""

import asyncio
import functools
import os
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
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
from persona_share.cli.exit_codes import counted, fail, message_of
from persona_share.cli.options import (
    ClientOptions,
    decorated,
    is_argument,
    read_secret,
    read_secret_lines,
)
from persona_share.errors import CodeRefusedError, PersonaError
from persona_share.partner import PartnerCodeSource
from persona_share.ports import CodeSource


SOURCE_KEY: Final = "PERSONA_SOURCE_API_KEY"
#: The exit codes with which a code command refuses; `authorize` ends like this if the
#: source organization does not permit the scope, or has no such object.
REFUSED_EXITS: Final = (4, 5)
OTHER_EXIT: Final = 127
_SOURCE_OPTIONS: Final = (
    "token_file",
    "code_file",
    "code_command",
    "partner",
    "client_id",
)


@attrs.frozen(kw_only=True)
class ObjectReader:
    """Fetches objects, and has the accessors that read one of them again."""

    fetch: Callable[..., Batch[Any]]
    accessors_under: Callable[[Scope | None], PersonaClient | ScopedSession]
    client: PersonaClient
    manager: ScopedTokenManager | None = None
    #: The objects to fetch if no ids are named.
    ids: tuple[str, ...] = ()


def with_token_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `TokenOptions`, and pass them as one value."""
    names = [field.name for field in attrs.fields(TokenOptions)]

    @functools.wraps(command)
    def wrapped(*arguments: Any, **given: Any) -> Any:
        values = {name: given.pop(name) for name in names}
        if any(values[name] and is_argument(name) for name in _SOURCE_OPTIONS):
            # An argument takes precedence over the variables of the other ways.
            values |= {name: None for name in _SOURCE_OPTIONS if not is_argument(name)}
            values["partner"] = bool(values["partner"])
        tokens = TokenOptions(**values)
        return command(*arguments, tokens, **given)

    return decorated(
        wrapped,
        click.option(
            "--token-file",
            metavar="FILE",
            envvar="PERSONA_TOKEN_FILE",
            help="File with an access token, - for stdin.",
        ),
        click.option(
            "--code-file",
            metavar="FILE",
            envvar="PERSONA_CODE_FILE",
            help="File with delivered codes, one per line, - for stdin.",
        ),
        click.option(
            "--code-command",
            metavar="COMMAND",
            envvar="PERSONA_CODE_COMMAND",
            help="Reads a scope from stdin and prints a code for it, such as: persona-share "
            "authorize --client-id org_… --scope-file - --print code",
        ),
        click.option(
            "--partner",
            is_flag=True,
            envvar="PERSONA_PARTNER",
            help="Ask the partner's service that PERSONA_PARTNER_URL names for codes.",
        ),
        click.option(
            "--client-id",
            envvar="PERSONA_CLIENT_ID",
            help=f"This organization's id; the key in {SOURCE_KEY} creates codes for it.",
        ),
        click.option(
            "--source-key-file",
            metavar="FILE",
            envvar="PERSONA_SOURCE_KEY_FILE",
            help=f"File with the source's API key, instead of {SOURCE_KEY}.",
        ),
        click.option(
            "--permission",
            envvar="PERSONA_PERMISSION",
            help="Permission to request, if the ids' prefixes do not show it.",
        ),
    )


@attrs.frozen(kw_only=True)
class TokenOptions:
    """The origin of tokens, as the options say."""

    token_file: str | None
    code_file: str | None
    code_command: str | None
    partner: bool
    client_id: str | None
    source_key_file: str | None
    permission: str | None

    def __attrs_post_init__(self) -> None:
        """Refuse two ways at once."""
        if sum(bool(getattr(self, name)) for name in _SOURCE_OPTIONS) > 1:
            fail(
                "Choose one of --token-file, --code-file, --code-command, --partner, "
                "--client-id."
            )

    @property
    def scoped(self) -> bool:
        """Whether there are codes, and so new tokens."""
        return any(
            getattr(self, name) for name in _SOURCE_OPTIONS if name != "token_file"
        )

    @property
    def uses_own_key(self) -> bool:
        """Whether the organization's own API key reads the objects."""
        return not self.scoped and self.token_file is None

    def key(self) -> Secret | None:
        """Return the access token that is used instead of the API key."""
        if self.token_file is None:
            return None
        return Secret(read_secret_lines("access token", self.token_file)[0])

    def delivered(self) -> list[Secret]:
        """Return the delivered codes."""
        if self.code_file is None:
            return []
        return [Secret(each) for each in read_secret_lines("code", self.code_file)]


@asynccontextmanager
async def opened(
    options: ClientOptions, tokens: TokenOptions
) -> AsyncIterator[ObjectReader]:
    """Open the client, and the manager if there are codes."""
    delivered = tokens.delivered()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(options.client(tokens.key()))
        if not tokens.scoped:
            yield ObjectReader(
                fetch=client.fetch, accessors_under=lambda _: client, client=client
            )
            return
        codes: CodeSource | None = None
        if tokens.code_command is not None:
            codes = CodeCommand(tokens.code_command)
        elif tokens.partner:
            codes = await stack.enter_async_context(PartnerCodeSource.from_env())
        elif tokens.client_id is not None:
            file = tokens.source_key_file
            source_key = read_secret(
                "source's API key", file, "--source-key-file", SOURCE_KEY
            )
            source = await stack.enter_async_context(options.client(source_key))
            codes = _authorize_with(source, tokens.client_id)
        manager = await stack.enter_async_context(
            ScopedTokenManager(client, codes=codes)
        )
        granted = await _exchanged(manager, delivered)

        def fetch(ids: Ids, **options: Any) -> Batch[Any]:
            """Fetch with a token for every group."""
            return manager.fetch(ids, permission=tokens.permission, **options)

        yield ObjectReader(
            fetch=fetch,
            accessors_under=lambda scope: manager.session(scope) if scope else client,
            manager=manager,
            client=client,
            ids=tuple(each for scope in granted for each in scope.object_ids()),
        )


async def _exchanged(
    manager: ScopedTokenManager, delivered: list[Secret]
) -> list[Scope]:
    """Exchange delivered codes; a bad one is reported, and the others are used."""
    granted: list[Scope] = []
    failure: PersonaError | None = None
    for number, code in enumerate(delivered, 1):
        try:
            granted.append(await manager.exchange(code))
        except PersonaError as error:
            failure = error
            text = f"code {number} of --code-file is not used: {message_of(error)}"
            click.echo(text, err=True)
    if failure is not None and not granted:
        raise failure
    return granted


def _authorize_with(source: PersonaClient, client_id: str) -> Any:
    async def authorize(scope: Scope) -> AuthorizationCode:
        return await source.oauth.authorize(client_id=client_id, scope=scope)

    return authorize


class CodeCommand:
    """A code source that runs a command: scope on stdin, code on stdout."""

    def __init__(self, command: str) -> None:
        self._words = shlex.split(command)
        if not self._words:
            fail("--code-command is empty.")
        # The command speaks for the partner; our own keys are not its business.
        secret_names = {
            "PERSONA_API_KEY",
            SOURCE_KEY,
            "PERSONA_CODE",
            "PERSONA_WEBHOOK_SECRET",
        }
        self._environment = {
            k: v for k, v in os.environ.items() if k not in secret_names
        }
        self._shown: set[str] = set()

    async def __call__(self, scope: Scope) -> str:
        """Return the code that the command prints."""
        code, output = await self._run(f"{scope}\n".encode())
        if code in REFUSED_EXITS:
            message = f"--code-command refused (exit code {code})"
            raise CodeRefusedError(message)
        if code:
            message = f"--code-command ended with exit code {code}"
            raise self._failure(message, code)
        found = output.decode(errors="replace").split()
        if len(found) != 1 or not found[0].isascii():
            message = (
                "--code-command must print the code and nothing else, and it printed "
                f"{counted(len(found), 'word')}"
            )
            raise self._failure(message, 0)
        return found[0]

    async def _run(self, text: bytes) -> tuple[int, bytes]:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=self._environment,
            )
        except OSError as error:
            message = f"--code-command cannot be started: {error.strerror}"
            raise self._failure(message, OTHER_EXIT) from None
        try:
            output, _ = await process.communicate(text)
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return process.returncode or 0, output

    def _failure(self, message: str, exit_code: int) -> "CommandError":
        """Return an error; the manager hides its text, so it is shown here, once."""
        if message not in self._shown:
            self._shown.add(message)
            click.echo(f"{message}.", err=True)
        return CommandError(message, exit_code)


class CommandError(Exception):
    """The code command failed; ``exit_code`` is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
