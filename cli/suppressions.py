"""`mailroom suppressions`: addresses that get no mail; look up, add, remove."""

import shlex
from typing import Any

import click

from cli.answers import Body, answer
from cli.bodies import bytes_of
from cli.command_table import Noun
from cli.common import actor, services
from cli.paging import paged_up_to
from cli.progress import progress
from cli.questions import asks, confirm
from cli.tables import print_rows, printable
from mailroom.assembly.providers import build_mailgun_lists
from mailroom.domain.errors import Fault, InvalidInput, ProviderNotFound, Unavailable
from mailroom.domain.limits import MAX_FILE_BYTES
from mailroom.domain.suppressions import Suppression
from mailroom.services.feedback import mailgun_lists
from mailroom.services.feedback import suppressions as suppression_lists
from scheduler_api import paging
from scheduler_api.schemas import suppressions as schemas

_SCOPE = click.option("--scope", help="all, campaigns, or the id of a topic.")


@click.group("suppressions", cls=Noun)
def suppressions_() -> None:
    """Addresses that get no mail, or none of campaigns."""


@suppressions_.command("list")
@paged_up_to(10_000)
def list_(limit: int, cursor: str | None) -> None:
    """The newest first."""
    found = suppression_lists.page(services().db, before=paging.decode_time_and_id(cursor), limit=limit)
    page = paging.page_of(found, limit, schemas.shown, lambda one: [one.since, one.address])
    answer(schemas.SuppressionPage, page, _show_page)


@suppressions_.command("show")
@click.argument("address")
def show_(address: str) -> None:
    """The entries of an address."""
    _answer(suppression_lists.get(services().db, address))


@suppressions_.command("add")
@click.argument("address")
@click.option("--reason", default="", help="Such as bounced, complained, unsubscribed; manual if left out.")
@_SCOPE
def add(address: str, reason: str, scope: str | None) -> None:
    """Send no mail to an address."""
    asked = {"address": address, "reason": reason, "scope": scope}
    _answer(suppression_lists.add(services().db, asked, by=actor()))


@suppressions_.command("import")
@click.argument("file", type=click.File("rb"))
def import_(file: Any) -> None:
    """A CSV file with a column `address`, and perhaps `reason` and `scope`; or one address a line; - is standard input.
    Exit 1 where a row was refused; the others are taken."""
    text = _text(file)
    with progress("Adding", text.count("\n")) as advance:
        done = suppression_lists.add_file(services().db, text, by=actor(), advance=advance)
    answer(schemas.ImportedOut, done, _show_imported)
    if done.refused_count:
        raise SystemExit(1)


@suppressions_.command("import-mailgun")
@click.option("--cursor", help="Go on where an earlier one was cut off.")
def import_mailgun(cursor: str | None) -> None:
    """Mailgun's own lists: bounces, complaints, unsubscribes. What is there already stays as it is."""
    made = services()
    lists = build_mailgun_lists(made.settings)
    if lists is None:
        raise ProviderNotFound("mailgun")
    counted = dict.fromkeys(("added", "unchanged", "left_out"), 0)
    going_on = True
    while going_on:
        try:
            done = mailgun_lists.take_over(made.db, lists, cursor=cursor, by=actor())
        except (Unavailable, KeyboardInterrupt):
            if cursor:
                click.echo(f"To go on: mailroom suppressions import-mailgun --cursor {shlex.quote(cursor)}", err=True)
            raise
        counted = {name: count + getattr(done, name) for name, count in counted.items()}
        cursor, going_on = done.next_cursor, done.next_cursor is not None
        if going_on:
            click.echo(f"{sum(counted.values()):,} records so far", err=True)
    answer(schemas.TakenOverOut, {**counted, "next_cursor": None}, _show_taken_over)


@suppressions_.command("remove")
@click.argument("addresses", nargs=-1)
@click.option("--file", type=click.File("rb"), help="One address a line; - is standard input.")
@_SCOPE
@asks
def remove(addresses: tuple[str, ...], file: Any, scope: str | None) -> None:
    """Remove entries: these addresses get mail again."""
    lines = _text(file).splitlines() if file else []
    wanted = [*addresses, *(line.strip() for line in lines if line.strip())]
    if not wanted:
        raise click.UsageError("name an address, or --file")
    named = printable(wanted[0]) if len(wanted) == 1 else f"{len(wanted):,} addresses"
    confirm(f"Let {named} be mailed to again?", "The reasons and times of the entries are lost.")
    with progress("Removing", len(wanted)) as advance:
        removed, missing = suppression_lists.remove_many(
            services().db, wanted, scope=scope, by=actor(), advance=advance
        )
    answer(schemas.RemovedOut, {"removed": removed, "not_found": missing}, _show_removed)


def _text(file: Any) -> str:
    """The file as text. Raises InvalidInput."""
    try:
        return bytes_of(file, MAX_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(Fault("body", "is not UTF-8")) from None


def _answer(one: Suppression) -> None:
    answer(schemas.SuppressionOut, schemas.shown(one), lambda body: _show_entries([body]))


def _show_page(body: Body) -> None:
    _show_entries(body["items"])
    if body["next_cursor"]:
        click.echo(f"There are more: --cursor {body['next_cursor']}", err=True)


def _show_entries(suppressions: list[Body]) -> None:
    rows = [{"address": one["address"], **entry} for one in suppressions for entry in one["scopes"]]
    columns = {"address": "address", "scope": "scope", "reason": "reason", "since": "since"}
    print_rows(rows, {**columns, "note": lambda entry: entry.get("note", "")})


def _show_imported(body: Body) -> None:
    for row in body["refused"]:
        click.echo(printable(f"line {row['row']}: {row['address'] or '(no address)'}: {row['message']}"), err=True)
    click.echo(f"{body['added']:,} added, {body['unchanged']:,} there already, {body['refused_count']:,} refused")


def _show_taken_over(body: Body) -> None:
    click.echo(f"{body['added']:,} added, {body['unchanged']:,} there already, {body['left_out']:,} left out")


def _show_removed(body: Body) -> None:
    for address in body["not_found"]:
        click.echo(printable(f"{address} was not suppressed"), err=True)
    click.echo(f"{body['removed']:,} removed")
