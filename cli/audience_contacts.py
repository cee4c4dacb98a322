"""`mailroom audiences contacts|export|add|set|remove`: who is in an audience."""

from typing import Any

import click

from cli.answers import Body, answer
from cli.audience_import import LinesRefused
from cli.bodies import bytes_of, list_of
from cli.command_table import Answering
from cli.common import prepared_services, services
from cli.paging import paged
from cli.progress import progress
from cli.questions import asks, confirm
from cli.tables import print_fields, print_page, printable
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_FILE_BYTES
from mailroom.domain.lists.texts import count_lines
from mailroom.services.audiences import contact_files, exporting
from mailroom.services.audiences import contacts as audience_contacts
from mailroom.services.audiences.contact_files import Adding
from scheduler_api import paging
from scheduler_api.schemas import audience_contacts as schemas

_SOURCE = "command"
_WORDS = {False: "Adding", True: "Looking"}  # by `dry_run`
_AUDIENCE = click.argument("audience_id")


@click.command("contacts", cls=Answering)
@_AUDIENCE
@paged
def contacts(audience_id: str, limit: int, cursor: str | None) -> None:
    """Its contacts, in the order of their addresses."""
    found = audience_contacts.page(services().db, AudienceId(audience_id), after=paging.decode_id(cursor), limit=limit)
    page = paging.page_of(found, limit, schemas.contact, lambda one: [one.key])
    answer(schemas.ContactPage, page, _show_page)


@click.command("export")
@_AUDIENCE
def export(audience_id: str) -> None:
    """All its contacts as CSV on standard output."""
    for piece in exporting.lines_of(services().db, AudienceId(audience_id)):
        click.echo(piece, nl=False)


@click.command("add", cls=Answering)
@_AUDIENCE
@click.argument("file", type=click.File("rb"))
@click.option("--skip-invalid", is_flag=True, help="Add the other lines where some cannot be taken.")
@click.option("--dry-run", is_flag=True, help="Show what would be added and changed. Saves nothing.")
def add(audience_id: str, file: Any, skip_invalid: bool, dry_run: bool) -> None:
    """Add the contacts of a file, and change those that are there: CSV, or one address a line; - is standard input. The
    same again changes nothing, so it goes on where it was cut off."""
    how = Adding("skip" if skip_invalid else "refuse", dry_run, _SOURCE)
    db = (services if dry_run else prepared_services)().db
    with list_of(file) as data, progress(_WORDS[dry_run], 2 * count_lines(data)) as advance:
        try:
            done = contact_files.add(db, AudienceId(audience_id), data, how, advance=advance)
        except InvalidInput as error:
            _say_refused(error)
            raise
    answer(schemas.AddedOut, schemas.added(done), _show_added)


@click.command("set", cls=Answering)
@_AUDIENCE
@click.argument("address")
@click.option("--name", help="Its name.")
@click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help="A merge field; NAME= alone removes it.")
@click.option("--time-zone", help="An IANA name, such as Europe/Berlin.")
@click.option("--language", help="A language tag, such as en or de-AT.")
def set_contact(
    audience_id: str,
    address: str,
    name: str | None,
    fields: tuple[str, ...],
    time_zone: str | None,
    language: str | None,
) -> None:
    """Add a contact, or change what is named of one that is there."""
    given = {"name": name, "time_zone": time_zone, "language": language}
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    changes["variables"] = dict(map(_field, fields))
    made = prepared_services()
    stored = audience_contacts.change_or_add(made.db, AudienceId(audience_id), address, changes, source=_SOURCE)
    answer(schemas.AudienceContactOut, schemas.contact(stored), print_fields)


@click.command("remove", cls=Answering)
@_AUDIENCE
@click.argument("addresses", nargs=-1)
@click.option("--file", type=click.File("rb"), help="One address a line; - is standard input.")
@asks
def remove(audience_id: str, addresses: tuple[str, ...], file: Any) -> None:
    """Remove contacts. They may still get mail of runs that were due before."""
    text = bytes_of(file, MAX_FILE_BYTES).decode("utf-8-sig", "replace") if file else ""
    wanted = [*addresses, *(line.strip() for line in text.splitlines() if line.strip())]
    if not wanted:
        raise click.UsageError("name an address, or --file")
    named = printable(wanted[0]) if len(wanted) == 1 else f"{len(wanted):,} addresses"
    confirm(f"Remove {named} from the audience?", "Their merge fields are lost with them.")
    removed, missing = audience_contacts.remove_many(services().db, AudienceId(audience_id), wanted)
    answer(schemas.ContactsRemovedOut, {"removed": removed, "not_found": missing}, _show_removed)


def _field(said: str) -> tuple[str, str | None]:
    name, mark, value = said.partition("=")
    if not mark:
        raise click.BadParameter(f"'{said}': write NAME=VALUE")
    return name, value or None


def _say_refused(error: InvalidInput) -> None:
    lines = [fault for fault in error.faults if fault.path.startswith("line ")]
    for fault in lines:
        click.echo(printable(f"{fault.path}: {fault.message}"), err=True)
    if lines:
        raise LinesRefused("nothing was added: fix these lines, or skip them with --skip-invalid") from None


def _show_page(body: Body) -> None:
    print_page(body, {"address": "address", "name": "name", "merge fields": "variables", "joined": "joined_at"})


def _show_added(body: Body) -> None:
    for row in body["refused"]:
        click.echo(printable(f"line {row['row']}: {row['address']}: {row['message']}"), err=True)
    counts = f"{body['added']:,} added, {body['changed']:,} changed, {body['unchanged']:,} unchanged"
    click.echo(f"{counts}, {body['refused_count']:,} refused")


def _show_removed(body: Body) -> None:
    for address in body["not_found"]:
        click.echo(printable(f"{address} was not in the audience"), err=True)
    click.echo(f"{body['removed']:,} removed")
