"""`mailroom contacts`: what is known of an address, all of it as one document, and its erasure."""

from collections.abc import Mapping
from typing import Any

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.questions import asks, confirm
from cli.tables import print_fields, print_rows, printable
from mailroom.domain.erasures import Erasure
from mailroom.services.consent import contacts
from mailroom.services.persons import erasing, exporting
from scheduler_api.schemas import erasures
from scheduler_api.schemas import topics as schemas

_WHAT_GOES = (
    "The address, the name and all merge fields go from every audience; from every mail go the recipient, what was "
    "written for them, and what providers told of them.",
    "Reports keep their counts, and suppressions go on holding mail back. It cannot be undone.",
)


@click.group("contacts", cls=Noun)
def contacts_() -> None:
    """Addresses: what goes to them, and what their readers left."""


@contacts_.command("show")
@click.argument("address")
def show_contact(address: str) -> None:
    """The topics that go to an address, its suppressions, its audiences, and what its reader left and joined again."""
    answer(schemas.ContactOut, schemas.contact(contacts.view(services().db, address)), _show)


@contacts_.command("export")
@click.argument("address")
def export_contact(address: str) -> None:
    """Everything that is stored about an address, as JSON on standard output."""
    for piece in exporting.pieces_of(services().db, address):
        click.echo(piece, nl=False)
    click.echo()


@contacts_.command("erase")
@click.argument("address")
@asks
def erase_contact(address: str) -> None:
    """Erase a person. Senders do it in the background; `mailroom contacts erasure` shows how far they are."""
    confirm(f"Erase everything that is stored about {printable(address)}?", *_WHAT_GOES)
    _answer(erasing.ask(prepared_services().db, address, by=actor())[0])


@contacts_.command("erasure")
@click.argument("address")
def show_erasure(address: str) -> None:
    """How far the newest erasure of an address has come."""
    _answer(erasing.newest(services().db, address))


def _answer(erasure: Erasure) -> None:
    answer(erasures.ErasureOut, erasures.erasure(erasure), print_fields)


def _show(body: Body) -> None:
    click.echo(body["address"])
    print_rows(body["topics"], {"topic": "name", "goes": _goes})
    _show_part("Suppressions", body["suppressions"], "scope", "reason", "since")
    _show_part("Audiences", body["audiences"], "name", "id")
    _show_part("Consent, newest first", body["consent"], "at", "act", "scope", "by")


def _goes(topic: Mapping[str, Any]) -> str:
    return "yes" if topic["subscribed"] else f"no: {topic['reason']}"


def _show_part(title: str, rows: list[Body], *columns: str) -> None:
    if rows:
        click.echo(f"\n{title}")
        print_rows(rows, {column: column for column in columns})
