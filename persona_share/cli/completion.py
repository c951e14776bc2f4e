"""``persona-share completion``: what a shell has to read to complete commands."""

import rich_click as click
from click.shell_completion import get_completion_class


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
