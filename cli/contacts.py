"""`mailroom contacts`: what is known of an address."""

from collections.abc import Mapping
from typing import Any

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import services
from cli.tables import print_rows
from mailroom.services.consent import contacts
from scheduler_api.schemas import topics as schemas


@click.group("contacts", cls=Noun)
def contacts_() -> None:
    """Addresses: what goes to them, and what their readers left."""


@contacts_.command("show")
@click.argument("address")
def show_contact(address: str) -> None:
    """The topics that go to an address, its suppressions, its audiences, and what its reader left and joined again."""
    answer(schemas.ContactOut, schemas.contact(contacts.view(services().db, address)), _show)


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
