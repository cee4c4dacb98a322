"""`mailroom topics`: what readers get and may leave."""

from collections.abc import Callable
from typing import Any, Final

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.paging import paged
from cli.tables import print_fields, print_page
from mailroom.domain.subscription_forms import form_html
from mailroom.domain.topics import Topic
from mailroom.services.consent import topics
from scheduler_api import paging
from scheduler_api.schemas import topics as schemas

_OPTIONS: Final = (
    click.option("--postal-address", help="Of the sender, for footers."),
    click.option(
        "--footer/--no-footer", default=None, help="Whether bodies without a link to unsubscribe get a footer with one."
    ),
    click.option(
        "--double-opt-in/--no-double-opt-in",
        default=None,
        help="Whether who subscribes by form has to confirm it, by a link in an email.",
    ),
    click.option("--confirm-from", help="The sender of that email."),
    click.option("--confirm-subject", help="Its subject; {{ topic }} is the topic's name."),
    click.option("--confirm-text", help="Its text; {{ confirm_url }} is the link."),
    click.option("--confirm-html", help="Its HTML."),
    click.option("--confirm-within-s", type=int, help="Seconds for which its link works (three days)."),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """What may be said about a topic, but for its name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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


@topics_.command("form")
@click.argument("id_", metavar="ID")
def show_form(id_: str) -> None:
    """The HTML of a form to subscribe by, for any page."""
    made = services()
    html = form_html(topics.get(made.db, id_), made.settings.web.public_url)
    answer(schemas.TopicFormOut, {"html": html}, lambda body: click.echo(body["html"], nl=False))


@topics_.command("create")
@click.argument("id_", metavar="ID")
@click.option("--name", required=True, help="As readers see it.")
@_with_options
def create_topic(id_: str, name: str, **options: Any) -> None:
    """Make a topic. A schedule that names it goes to nobody who has left it, and carries a link to leave it."""
    asked = {"id": id_, "name": name} | _given(options)
    _answer(topics.create(prepared_services().db, asked, by=actor())[0])


@topics_.command("change")
@click.argument("id_", metavar="ID")
@click.option("--name", help="As readers see it.")
@_with_options
def change_topic(id_: str, **options: Any) -> None:
    """Change a topic. Schedules that are stored keep their footer until they are saved again."""
    asked = _given(options)
    if not asked:
        raise click.UsageError("give --name, --postal-address, --footer, --double-opt-in or one of --confirm-...")
    _answer(topics.change(services().db, id_, asked, seen_version=None, by=actor()))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _answer(topic: Topic) -> None:
    answer(schemas.TopicOut, schemas.topic(topic), print_fields)


def _show_page(body: Body) -> None:
    print_page(body, {"id": "id", "name": "name", "footer": _yes("footer"), "double opt-in": _yes("double_opt_in")})


def _yes(name: str) -> Callable[[Any], str]:
    return lambda one: "yes" if one[name] else "no"
