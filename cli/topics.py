"""`mailroom topics`: what readers get and may leave."""

from typing import Any

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.paging import paged
from cli.tables import print_fields, print_page
from mailroom.domain.topics import Topic
from mailroom.services.consent import topics
from scheduler_api import paging
from scheduler_api.schemas import topics as schemas

_POSTAL = click.option("--postal-address", help="Of the sender, for footers.")
_FOOTER = click.option(
    "--footer/--no-footer", default=None, help="Whether bodies without a link to unsubscribe get a footer with one."
)


@click.group("topics", cls=Noun)
def topics_() -> None:
    """What readers get and may leave, such as a newsletter."""


@topics_.command("list")
@paged
def list_topics(limit: int, cursor: str | None) -> None:
    """Topics by their ids."""
    found = topics.page(services().db, after=paging.decode_id(cursor), limit=limit)
    page = paging.page_of(found, limit, schemas.topic, lambda one: [one.id])
    answer(schemas.TopicPage, page, _show_page)


@topics_.command("show")
@click.argument("id_", metavar="ID")
def show_topic(id_: str) -> None:
    """A topic."""
    _answer(topics.get(services().db, id_))


@topics_.command("create")
@click.argument("id_", metavar="ID")
@click.option("--name", required=True, help="As readers see it.")
@_POSTAL
@_FOOTER
def create_topic(id_: str, name: str, postal_address: str | None, footer: bool | None) -> None:
    """Make a topic. A schedule that names it goes to nobody who has left it, and carries a link to leave it."""
    asked = {"id": id_, "name": name} | _given(postal_address=postal_address, footer=footer)
    _answer(topics.create(prepared_services().db, asked, by=actor())[0])


@topics_.command("change")
@click.argument("id_", metavar="ID")
@click.option("--name", help="As readers see it.")
@_POSTAL
@_FOOTER
def change_topic(id_: str, name: str | None, postal_address: str | None, footer: bool | None) -> None:
    """Change a topic. Schedules that are stored keep their footer until they are saved again."""
    asked = _given(name=name, postal_address=postal_address, footer=footer)
    if not asked:
        raise click.UsageError("give --name, --postal-address or --footer")
    _answer(topics.change(services().db, id_, asked, seen_version=None, by=actor()))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _answer(topic: Topic) -> None:
    answer(schemas.TopicOut, schemas.topic(topic), print_fields)


def _show_page(body: Body) -> None:
    print_page(body, {"id": "id", "name": "name", "footer": lambda one: "yes" if one["footer"] else "no"})
