"""The command ``persona-share`` and its subcommands."""

import rich_click as click

from persona_share.cli.demo import demo
from persona_share.cli.sandbox import sandbox


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="persona-share")
def app() -> None:
    """Share Persona identity data between two organizations (unofficial)."""


app.add_command(demo)
app.add_command(sandbox)
