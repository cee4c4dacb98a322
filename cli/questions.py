"""The question before an act that mails or cannot be undone: asked once, with the count and the name."""

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from cli.tables import printable

F = TypeVar("F", bound=Callable[..., Any])
_YES: Final = "mailroom.yes"


class NotConfirmed(click.ClickException):
    """Nobody is there to be asked, and `--yes` was not said."""

    exit_code = 2


def asks(command: F) -> F:
    """Give a command the option `--yes`. The command calls `confirm` before it acts."""

    def note(ctx: click.Context, _: click.Parameter, said: bool) -> None:
        ctx.meta[_YES] = said

    words = "Do it without a question."
    return click.option("--yes", "-y", is_flag=True, expose_value=False, callback=note, help=words)(command)


def is_asked() -> bool:
    """False if `--yes` was said: what only the question names need not be looked up."""
    return not click.get_current_context().meta.get(_YES)


def confirm(question: str, *details: str) -> None:
    """Return if a person says yes, or has said `--yes`. The question goes to standard error.

    Raises NotConfirmed if standard input is no terminal, and click.Abort for a no.
    """
    if not is_asked():
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{printable(question)} Nobody can be asked here: say --yes to do it.")
    for sentence in details:
        click.echo(printable(sentence), err=True)
    # Not by click.confirm: that writes to standard output too, where a script waits for an id.
    click.echo(f"{printable(question)} [y/N]: ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise click.Abort
