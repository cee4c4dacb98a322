"""`mailroom audiences`: lists of recipients under a name."""

import secrets
from typing import Any

import click

from cli.answers import Body, answer, print_id
from cli.audience_contacts import add, contacts, export, remove, set_contact
from cli.audience_import import import_
from cli.bodies import BODY, document_of, loaded
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.paging import paged
from cli.questions import asks, confirm
from cli.tables import print_fields, print_page
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_VALUES_OF_A_LIST
from mailroom.domain.words import counted
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.lists import NewAudience
from scheduler_api import paging
from scheduler_api.schemas import audiences as schemas


@click.group(cls=Noun)
def audiences() -> None:
    """Audiences: lists of recipients."""


for command in (import_, contacts, export, add, set_contact, remove):
    audiences.add_command(command)


@audiences.command("list")
@paged
def list_audiences(limit: int, cursor: str | None) -> None:
    """Audiences that schedules may name, newest first."""
    found = audience_lists.page(services().db, before=paging.decode_time_and_id(cursor), limit=limit)
    page = paging.page_of(found, limit, schemas.audience, lambda one: [one.created_at, one.id])
    answer(schemas.AudiencePage, page, _show_page)


@audiences.command("show")
@click.argument("audience_id")
def show_audience(audience_id: str) -> None:
    """An audience: its name, the number of its recipients, and the merge fields that all of them have."""
    found = audience_lists.get(services().db, AudienceId(audience_id))
    answer(schemas.AudienceOut, schemas.audience(found), print_fields)


@audiences.command("recipients")
@click.argument("audience_id")
@paged
def recipients(audience_id: str, limit: int, cursor: str | None) -> None:
    """Its recipients, in the order of their addresses."""
    after = paging.decode_id(cursor)
    found = audience_lists.recipients(services().db, AudienceId(audience_id), after=after, limit=limit)
    page = paging.page_of(found, limit, schemas.recipient, lambda one: [one.key])
    answer(schemas.RecipientPage, page, _show_recipients)


@audiences.command("create")
@BODY
@click.option("--key", help="An Idempotency-Key: the same command again finds the same audience.")
def create_audience(file: Any, key: str | None) -> None:
    """Make an audience of a JSON file, or of standard input (-). Prints its id, alone, on standard output.

    The fields are those of POST /v1/audiences. `import` takes a CSV file or a list of addresses.
    """
    document = document_of(file, most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
    body = loaded(schemas.AudienceIn(), document, further=schemas.further_faults)
    made = prepared_services()
    stored = audience_lists.create(made.db, NewAudience(**body), owner=actor(), key=key or secrets.token_hex(16))
    answer(schemas.AudienceMade, schemas.made(stored), _show_made)


@audiences.command("delete")
@click.argument("audience_id")
@asks
def delete_audience(audience_id: str) -> None:
    """No schedule can name it any more. Schedules that go to it still do."""
    db, id_ = services().db, AudienceId(audience_id)
    found = audience_lists.get(db, id_)
    confirm(
        f"Delete audience “{found.name}” with {counted(found.count, 'recipient')}?",
        "Schedules that go to it still do; no other can name it. This cannot be undone.",
    )
    audience_lists.drop(db, id_)
    answer(schemas.AudienceOut, schemas.audience(found), lambda _: click.echo("deleted"))


def _show_page(body: Body) -> None:
    columns = {"id": "id", "name": "name", "recipients": "recipients_count", "made": "created_at"}
    print_page(body, columns)


def _show_recipients(body: Body) -> None:
    print_page(body, {"address": "address", "name": "name", "merge fields": "variables"})


def _show_made(body: Body) -> None:
    for row in body["refused"]:
        click.echo(f"row {row['row']}: {row['address']}: {row['message']}", err=True)
    print_id(body)
