"""The command ``persona-share`` and its subcommands.

Every option has a variable, which ``--help`` names: PERSONA_COMMAND_OPTION, or a
shorter name where the option means the same on several commands.
"""

import os
import re
from importlib import import_module
from typing import Any, Final

import rich_click as click
from click import Command, Context, Group, Option, Parameter
from click.shell_completion import get_completion_class
from click.types import StringParamType


#: The module of each command; it is imported when the command is asked for.
_COMMANDS: Final = {
    "authorize": "oauth",
    "completion": "app",
    "connections": "connect",
    "copy": "copy",
    "demo": "demo",
    "doctor": "doctor",
    "exchange": "oauth",
    "fetch": "fetch",
    "get": "fetch",
    "limits": "doctor",
    "list": "fetch",
    "partner": "partner",
    "sandbox": "sandbox",
    "share-tokens": "connect",
    "store": "store",
    "tokens": "store",
    "webhook": "doctor",
}
#: Commands whose function cannot have their name.
_ATTRIBUTES: Final = {"list": "list_"}


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Program(click.RichGroup):
    """The program; a command costs nothing while another one runs."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002  # click's signature
        """List the commands by name."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002  # click's signature
        """Return a command, imported now, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"persona_share.cli.{_COMMANDS[cmd_name]}")
        command: Command = getattr(
            module, _ATTRIBUTES.get(cmd_name, cmd_name.replace("-", "_"))
        )
        return _with_variables(command, cmd_name)


class _Text(click.ParamType[Any]):
    """A text or path, which must be UTF-8; ``~`` in a path is the home folder."""

    def __init__(self, inner: click.ParamType[Any]) -> None:
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
