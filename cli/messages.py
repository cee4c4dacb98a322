"""`mailroom messages`: what was sent to a person, and the story of one mail."""

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import services
from cli.paging import paged
from cli.shown_mails import print_mail
from cli.tables import Columns, in_words, print_page, print_rows
from mailroom.domain.ids import MessageId
from mailroom.services.reports import people, sent_mails, timeline
from scheduler_api import paging
from scheduler_api.schemas import messages as message_schemas
from scheduler_api.schemas import people as schemas
from scheduler_api.schemas import sent_mails as sent_schemas


@click.group("messages", cls=Noun)
def messages_() -> None:
    """What was sent to a person."""


@messages_.command("list")
@click.argument("recipient")
@paged
def list_messages(recipient: str, limit: int, cursor: str | None) -> None:
    """The mails to an address, or to the addresses that begin with it, of campaigns and single mails, newest first."""
    before = paging.decode_time_and_id(cursor)
    found = people.find(services().db, recipient, before=before, limit=limit)
    answer(schemas.PersonPageOut, schemas.person_page(found), _show_page)


@messages_.command("show")
@click.argument("message_id")
def show_message(message_id: str) -> None:
    """A mail of a run: every step of the calls that carried it, and every event of the provider."""
    story = timeline.story_of(services().db, MessageId(message_id))
    answer(message_schemas.StoryOut, message_schemas.story(story), _show_story)


@messages_.command("content")
@click.argument("message_id")
def show_content(message_id: str) -> None:
    """What a run sent to a recipient, as it was rendered then."""
    made = services()
    mail = sent_mails.content_of_message(made.db, MessageId(message_id), link=made.links.example)
    answer(sent_schemas.MessageContentOut, sent_schemas.message_content(mail), _show_content)


def _show_page(body: Body) -> None:
    columns: Columns = {
        "at": "at",
        "address": "address",
        "state": "status",
        "subject": "subject",
        "of": lambda message: message["schedule_name"] or message["email_id"],
        "id": "id",
    }
    print_page(body, columns)


def _show_content(body: Body) -> None:
    print_mail(body, to=body["address"])


def _show_story(body: Body) -> None:
    click.echo(f"{in_words(body['address'])}: {body['status']}")
    print_steps(body)


def print_steps(body: Body) -> None:
    """Print what happened, in order. `steps` of a mail's story, or `items` of a single mail's events."""
    columns: Columns = {"at": "at", "what": "what", "dispatch": "dispatch_id", "details": "details"}
    print_rows(body["steps"] if "steps" in body else body["items"], columns)
