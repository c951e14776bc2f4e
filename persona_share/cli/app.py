"""The command ``persona-share`` and its subcommands.

Every option has a variable, which ``--help`` names: PERSONA_COMMAND_OPTION, or a
shorter name where the option means the same on several commands.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import rich_click as click
from click import Command, Context, Group, Option, Parameter
from click.shell_completion import CompletionItem, get_completion_class
from click.types import StringParamType


#: The module of each command, which is imported when the command is called, and the
#: first paragraph of its help, so that listing the commands imports none.
_COMMANDS: Final = {
    "authorize": (
        "oauth",
        "Create an authorization code that lets a partner read these objects.",
    ),
    "completion": ("app", "Print the completion script of a shell."),
    "connections": ("connect", "Manage the connections to other organizations."),
    "copy": (
        "copy",
        "Copy inquiries with all that belongs to them, one folder per person.",
    ),
    "demo": (
        "demo",
        "Show how two organizations share data over at least four token lifetimes.",
    ),
    "doctor": (
        "doctor",
        "Check the key, the clock, OAuth, the rate limits, the store and the partner.",
    ),
    "exchange": ("oauth", "Exchange an authorization code for an access token."),
    "fetch": ("fetch", "Fetch any number of objects as fast as the rate limit allows."),
    "get": (
        "fetch",
        "Show objects as the API returns them; with --code-file, all that it grants.",
    ),
    "limits": ("doctor", "Show the rate limits of this API key."),
    "list": ("fetch", "List ids of the organization's own objects, one per line."),
    "partner": (
        "partner",
        "Give authorization codes to partner organizations, or request them.",
    ),
    "sandbox": (
        "sandbox",
        "Run a local Persona with two organizations until interrupted.",
    ),
    "share-tokens": ("connect", "Share single objects over a connection."),
    "store": ("store", "Prepare a store: a file of SQLite, Redis, or PostgreSQL."),
    "tokens": ("store", "List, show and forget the tokens of a store."),
    "webhook": ("doctor", "Check deliveries of webhooks."),
}
#: Commands whose function cannot have their name.
_ATTRIBUTES: Final = {"list": "list_"}


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Program(click.RichGroup):
    """The program; a command costs nothing while another one runs."""

    _listing = False

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002  # click's signature
        """List the commands by name."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002  # click's signature
        """Return a command, imported now, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module_name, summary = _COMMANDS[cmd_name]
        if self._listing:
            return click.RichCommand(name=cmd_name, help=summary)
        module = import_module(f"persona_share.cli.{module_name}")
        command: Command = getattr(
            module, _ATTRIBUTES.get(cmd_name, cmd_name.replace("-", "_"))
        )
        return _with_variables(command, cmd_name)

    def get_help(self, ctx: Context) -> str:
        """Return the help with a list of the commands."""
        with self._only_summaries():
            return super().get_help(ctx)

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that complete a word."""
        with self._only_summaries():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _only_summaries(self) -> Iterator[None]:
        """Return commands with a name and a summary only, until the block ends."""
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # it is not generic in the lowest click
    _ParamType = click.ParamType


class _Text(_ParamType):
    """A text or path, which must be UTF-8; ``~`` in a path is the home folder."""

    def __init__(self, inner: "click.ParamType[Any]") -> None:
        self._inner = inner
        self.name: str = inner.name

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return the text, or the path without ``~``."""
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if isinstance(text, str):
            if _SURROGATE.search(text):
                self.fail("it is not UTF-8.", param, ctx)
            if text.startswith("~") and self._is_path(param):
                text = os.path.expanduser(text)  # noqa: PTH111  # "-" must stay "-"
                if text.startswith("~"):
                    self.fail(f"{text} names an unknown user.", param, ctx)
        return self._inner.convert(text, param, ctx)

    def _is_path(self, param: Parameter | None) -> bool:
        metavar = (param.metavar if param else None) or ""
        return (
            isinstance(self._inner, click.Path)
            or "FILE" in metavar
            or "FOLDER" in metavar
        )


def _with_variables(command: Command, *path: str) -> Command:
    """Give every option the variable of its name, and check its text."""
    for each in command.params:
        if type(each.type) in {StringParamType, click.Path}:
            each.type = _Text(each.type)
        if isinstance(each, Option) and each.allow_from_autoenv:
            name = max(each.opts, key=len).lstrip("-")
            variable = "_".join(("persona", *path, name)).replace("-", "_").upper()
            each.envvar = each.envvar or variable
            each.show_envvar = True
    if isinstance(command, Group):
        for name, subcommand in command.commands.items():
            _with_variables(subcommand, *path, name)
    return command


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 done, 1 other errors, 2 usage, 3 authentication, 4 permission or "
        "scope, 5 not found, 6 conflict, 7 limit or quota, 8 network or deadline, "
        "9 signature, 10 partly failed, 130 interrupted, 141 output closed, 143 terminated."
    ),
)
@click.version_option(package_name="persona-share")
def app() -> None:
    """Share Persona identity data between two organizations (unofficial).

    Secrets come from the environment, from files of mode 0600 or from standard input,
    and never from an argument. Every option can be set by the variable that its help
    names.
    """


@click.command(epilog='Example: eval "$(persona-share completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.RichContext, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # click knows the three above
    program = context.find_root().command
    script = kind(program, {}, "persona-share", "_PERSONA_SHARE_COMPLETE")
    click.echo(script.source())
