"""`mailroom completion`: commands, options and their words by the tab key."""

from typing import Final

import click
from click.shell_completion import get_completion_class

_COMMAND: Final = "mailroom"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in this shell.

    For bash: mailroom completion bash > ~/.local/share/bash-completion/completions/mailroom
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(ctx.find_root().command, {}, _COMMAND, f"_{_COMMAND.upper()}_COMPLETE").source())
