"""`mailroom audiences import`: an audience from a file of addresses."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from cli.answers import answer, answer_plainly, as_json, print_id
from cli.bodies import list_of
from cli.command_table import Answering
from cli.common import actor, prepared_services
from cli.progress import progress
from cli.tables import print_rows, printable
from mailroom.domain.audiences import Sifted, sift
from mailroom.domain.errors import InvalidInput
from mailroom.domain.lists.columns import Column, Role
from mailroom.domain.lists.reading import Look, look_at, rows_of
from mailroom.domain.lists.texts import ENCODINGS, count_lines
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.contact_files import counted
from mailroom.services.audiences.lists import CreatedAudience
from mailroom.services.audiences.recipients_on_disk import RecipientsOnDisk
from scheduler_api.schemas import audiences as schemas


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
    help="How a column is read, the first is 1: address, name, time_zone, language, ignored, field:NAME, or both:NAME "
    "for a name that is a merge field too.",
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
    with list_of(file) as data, RecipientsOnDisk() as recipients:
        look = look_at(data, encoding=encoding)
        columns = _columns(look, said)
        with progress("Reading", count_lines(data)) as advance:
            sifted = sift(counted(rows_of(data, look, columns), advance), recipients.add)
        if faults := audience_lists.faults_of_name(name):
            raise InvalidInput(*faults)
        _say(sifted)
        if dry_run:
            _show_reading(look, columns, sifted)
            return
        if sifted.refused_count and not skip_invalid:
            raise LinesRefused("not imported: fix these lines, or skip them with --skip-invalid")
        made = prepared_services()
        key = key or secrets.token_hex(16)
        with progress("Saving", sifted.recipients) as advance:
            found = audience_lists.create_of(made.db, name, recipients, owner=actor(), key=key, advance=advance)
    skipped = CreatedAudience(found.audience, found.new, sifted.refused, sifted.refused_count)
    answer(schemas.AudienceMade, schemas.made(skipped), print_id)


def _say(sifted: Sifted) -> None:
    for one in sifted.refused:
        at = f"line {one.row}: {one.address + ': ' if one.address else ''}"
        click.echo(printable(f"{at}{one.message}"), err=True)
    words = f"{sifted.recipients:,} recipients, {sifted.duplicates:,} duplicates"
    click.echo(f"{words}, {sifted.refused_count:,} lines that cannot be imported", err=True)


def _show_reading(look: Look, columns: Sequence[Column], sifted: Sifted) -> None:
    """Answer with how the file is read."""
    shown = [
        {"number": number, "column": column.heading, "role": column.role, "field": column.field}
        for number, column in enumerate(columns, 1)
    ]
    body = {
        "encoding": look.encoding,
        "columns": shown,
        "recipients_count": sifted.recipients,
        "duplicates": sifted.duplicates,
        "refused": [asdict(row) for row in sifted.refused],
        "refused_count": sifted.refused_count,
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
        if not number.isdecimal() or not 1 <= int(number) <= len(columns) or role not in list(Role):
            raise click.BadParameter(f"'{one}': write NUMBER=ROLE; the file has {len(columns)} columns")
        before = columns[int(number) - 1]
        named = field or before.field if role in (Role.FIELD, Role.NAME_AND_FIELD) else ""
        columns[int(number) - 1] = Column(before.heading, Role(role), named)
    return columns
