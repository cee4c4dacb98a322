"""Tables for people. They fit a terminal's width by folding; into a pipe each row goes as one whole line."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.answers import Body

_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_WIDEST: Final = 10_000  # columns of a table that goes into a pipe
Column = str | Callable[[Mapping[str, Any]], object]  # the name of a row's field, or a function of the row
Columns = Mapping[str, Column]  # by their headings


def print_table(table: Table) -> None:
    """Print a table. Ids stay whole, so that they can be copied: they are folded on a terminal, and go as whole lines
    into a pipe."""
    for column in table.columns:
        column.overflow = "fold"
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDEST)
    console.print(table)


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Columns) -> None:
    """Print a table of these rows. `columns`: what stands under each heading."""
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(Text(_in_a_line(_value(row, column))) for column in columns.values()))
    print_table(table)


def print_page(body: Body, columns: Columns) -> None:
    """Print a page of a list, and on standard error how to see the next one."""
    print_rows(body["items"], columns)
    if body.get("total") is not None:
        more = "" if body["total_is_exact"] else " or more"
        click.echo(f"{body['total']:,}{more} in all", err=True)
    if body.get("next_cursor"):
        click.echo(f"There are more: --cursor {body['next_cursor']}", err=True)


def print_fields(body: Mapping[str, Any]) -> None:
    """Print one thing: a line for each field that has a value."""
    table = Table(box=None, show_header=False)
    for name, value in body.items():
        if value not in (None, "", [], {}):
            table.add_row(Text(name), Text(in_words(value)))
    print_table(table)


def in_words(value: object) -> str:
    """A value as text for a terminal, without characters that could steer it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, list | tuple) and all(isinstance(part, str | int) for part in value):
        return ", ".join(in_words(part) for part in value)
    if isinstance(value, list | tuple | dict):
        return printable(json.dumps(value, ensure_ascii=False, default=str))
    return printable(str(value))


def printable(text: str) -> str:
    """The text without characters that steer a terminal or turn the direction of writing: names and reasons come from
    outside. Line ends and tabs stay."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def _in_a_line(value: object) -> str:
    return " ".join(in_words(value).split())


def _value(row: Mapping[str, Any], column: Column) -> object:
    return column(row) if callable(column) else row.get(column)
