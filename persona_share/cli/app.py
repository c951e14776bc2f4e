"""The command ``persona-share`` and its subcommands."""

from importlib import import_module
from typing import Final

import rich_click as click
from click import Command, Context


#: The module of each command; it is imported when the command is asked for.
_COMMANDS: Final = {
    "authorize": "oauth",
    "completion": "completion",
    "connections": "connect",
    "copy": "copy",
    "demo": "demo",
    "doctor": "doctor",
    "exchange": "oauth",
    "fetch": "fetch",
    "get": "fetch",
    "limits": "limits",
    "list": "listing",
    "partner": "partner",
    "sandbox": "sandbox",
    "share-tokens": "connect",
    "store": "store",
    "tokens": "tokens",
    "webhook": "webhook",
}
#: Commands whose function cannot have their name.
_ATTRIBUTES: Final = {"list": "list_"}


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
    and never from an argument. PERSONA_API_KEY and PERSONA_BASE_URL are read.
    """
