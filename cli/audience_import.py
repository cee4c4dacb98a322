"""`mailroom audiences import`: an audience from a file of addresses."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from cli.answers import answer, answer_plainly, as_json, print_id
from cli.bodies import bytes_of
from cli.command_table import Answering
from cli.common import actor, prepared_services
from cli.progress import Advance, progress
from cli.tables import print_rows, printable
from mailroom.domain.audiences import Screened, screen
from mailroom.domain.errors import InvalidInput
from mailroom.domain.lists.columns import Column, Role
from mailroom.domain.lists.reading import Look, look_at, rows_of
from mailroom.domain.lists.rows import Read
from mailroom.domain.lists.texts import ENCODINGS
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.lists import Made
from scheduler_api.schemas import audiences as schemas

_MOST_BYTES: Final = 512 * 1024 * 1024  # a million recipients with a few merge fields
_A_STEP: Final = 1_000  # lines


class LinesRefused(click.ClickException):
    """Some lines cannot be imported, and nothing was."""

    exit_code = 2


@click.command("import", cls=Answering)
@click.argument("file", type=click.File("rb"))
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
    file: Any,
    name: str,
    skip_invalid: bool,
    dry_run: bool,
    encoding: str | None,
    said: tuple[str, ...],
    key: str | None,
) -> None:
    """Make an audience of a file: addresses one a line, or CSV; - is standard input. Prints its id, alone, on standard
    output."""
    data = bytes_of(file, _MOST_BYTES)
    look = look_at(data, encoding=encoding)
    columns = _columns(look, said)
    with progress("Reading", data.count(b"\n")) as advance:
        screened = screen(_counted(rows_of(data, look, columns), advance))
    if faults := audience_lists.faults_of_name(name):
        raise InvalidInput(*faults)
    _say(screened)
    if dry_run:
        _show_reading(look, columns, screened)
        return
    if screened.refused_count and not skip_invalid:
        raise LinesRefused("not imported: fix these lines, or skip them with --skip-invalid")
    made = prepared_services()
    with progress("Saving", len(screened.recipients)) as advance:
        found = audience_lists.create_of(
            made.db, name, screened.recipients, owner=actor(), key=key or secrets.token_hex(16), advance=advance
        )
    skipped = Made(found.audience, found.new, screened.refused, screened.refused_count)
    answer(schemas.AudienceMade, schemas.made(skipped), print_id)


def _counted(rows: Iterable[Read], advance: Advance) -> Iterator[Read]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % _A_STEP == 0:
            advance(_A_STEP)


def _say(screened: Screened) -> None:
    for one in screened.refused:
        at = f"line {one.row}: {one.address + ': ' if one.address else ''}"
        click.echo(printable(f"{at}{one.message}"), err=True)
    words = f"{len(screened.recipients):,} recipients, {screened.duplicates:,} duplicates"
    click.echo(f"{words}, {screened.refused_count:,} lines that cannot be imported", err=True)


def _show_reading(look: Look, columns: Sequence[Column], screened: Screened) -> None:
    """Answer with how the file is read."""
    shown = [
        {"number": number, "column": column.heading, "role": column.role, "field": column.field}
        for number, column in enumerate(columns, 1)
    ]
    body = {
        "encoding": look.encoding,
        "columns": shown,
        "recipients_count": len(screened.recipients),
        "duplicates": screened.duplicates,
        "refused": [asdict(row) for row in screened.refused],
        "refused_count": screened.refused_count,
    }
    if not as_json():
        click.echo(f"encoding: {ENCODINGS[look.encoding]}", err=True)
    headings = {"number": "number", "column": "column", "read as": "role", "merge field": "field"}
    answer_plainly(body, lambda _: print_rows(shown, headings))


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
