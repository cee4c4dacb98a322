"""The options of lists: how many rows, from where on, and in which state or time."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import click
from marshmallow import ValidationError

from scheduler_api.schemas.instants import MomentField

F = TypeVar("F", bound=Callable[..., Any])
_MOST_ROWS: Final = 1_000


def paged(command: F) -> F:
    """Give a command the options `--limit` and `--cursor`."""
    return paged_up_to(_MOST_ROWS)(command)


def paged_up_to(most: int) -> Callable[[F], F]:
    """As `paged`, for a list that may have another number of rows on a page."""
    cursor = click.option("--cursor", help="Where the page begins: the word that the page before named.")
    limit = click.option("--limit", default=50, show_default=True, type=click.IntRange(1, most), help="Rows.")
    return lambda command: limit(cursor(command))


def choice_of(words: type[StrEnum]) -> click.Choice[str]:
    """One of these words, as they are written."""
    return click.Choice([word.value for word in words])


def moment(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    """The time that an option names, as the API reads it. For a `callback`."""
    try:
        return None if text is None else MomentField().deserialize(text)
    except ValidationError as error:
        raise click.BadParameter("; ".join(map(str, error.messages)), ctx, parameter) from None
