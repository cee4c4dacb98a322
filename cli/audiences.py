"""`mailroom audiences`: lists of recipients from files. It speaks to the stores directly, so it works while the API is
away."""

import secrets
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from cli.looking import services, show, told, who
from mailroom.assembly import prepare_database
from mailroom.domain.audiences import Screened, screen
from mailroom.domain.lists.columns import Column, Role
from mailroom.domain.lists.reading import Look, look_at, rows_of
from mailroom.domain.lists.texts import ENCODINGS
from mailroom.services.schedules import audiences as audience_lists


@click.group()
def audiences() -> None:
    """Audiences: lists of recipients."""


@audiences.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True)
@click.option("--skip-invalid", is_flag=True, help="Import the other lines where some cannot be imported.")
@click.option("--dry-run", is_flag=True, help="Show how the file is read, and what cannot be imported. Saves nothing.")
@click.option("--encoding", type=click.Choice(list(ENCODINGS)), help="Guessed where it is left out.")
@click.option(
    "--column",
    "said",
    multiple=True,
    metavar="NUMBER=ROLE",
    help="How a column is read, the first is 1: address, name, ignored, field:NAME or both:NAME.",
)
@click.option("--key", help="An Idempotency-Key: the same command again is the same audience.")
def import_(
    file: Path,
    name: str,
    skip_invalid: bool,
    dry_run: bool,
    encoding: str | None,
    said: tuple[str, ...],
    key: str | None,
) -> None:
    """Make an audience of a file: addresses one a line, or CSV. Prints its id, alone, on standard output."""
    with told():
        data = file.read_bytes()
        look = look_at(data, encoding=encoding)
        columns = _columns(look, said)
        screened = screen(rows_of(data, look, columns))
    _tell(screened)
    if dry_run:
        _show(look, columns)
        return
    if screened.refused_count and not skip_invalid:
        raise click.ClickException("not imported: fix these lines, or skip them with --skip-invalid")
    made = services()
    with told():
        prepare_database(made.settings)
        key = key or secrets.token_hex(16)
        found = audience_lists.create_of(made.db, name, screened.recipients, owner=who(), key=key)
    click.echo(found.audience.id)


def _tell(screened: Screened) -> None:
    for one in screened.refused:
        click.echo(f"line {one.row}: {one.address + ': ' if one.address else ''}{one.message}", err=True)
    words = f"{len(screened.recipients):,} recipients, {screened.duplicates:,} duplicates"
    click.echo(f"{words}, {screened.refused_count:,} lines that cannot be imported", err=True)


def _show(look: Look, columns: Sequence[Column]) -> None:
    click.echo(f"encoding: {ENCODINGS[look.encoding]}", err=True)
    table = Table("number", "column", "read as", "merge field", box=None)
    for number, column in enumerate(columns, 1):
        table.add_row(str(number), column.heading, column.role, column.field)
    show(table)


def _columns(look: Look, said: Sequence[str]) -> list[Column]:
    """The proposed columns, changed as `said` asks."""
    columns = list(look.columns)
    for one in said:
        number, _, what = one.partition("=")
        role, _, field = what.partition(":")
        if not number.isdigit() or not 1 <= int(number) <= len(columns) or role not in list(Role):
            raise click.BadParameter(f"'{one}': write NUMBER=ROLE; the file has {len(columns)} columns")
        before = columns[int(number) - 1]
        named = field or before.field if role in (Role.FIELD, Role.NAME_AND_FIELD) else ""
        columns[int(number) - 1] = Column(before.heading, Role(role), named)
    return columns
