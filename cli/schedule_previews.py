"""`mailroom schedules render` and `test`: a schedule's mail seen, and tried."""

import secrets

import click

from cli.answers import Body, answer
from cli.command_table import Answering
from cli.common import actor, prepared_services, services
from cli.tables import print_rows, printable
from mailroom.domain.ids import ScheduleId
from mailroom.services.schedules import rendering, send_test
from scheduler_api.schemas import schedule_actions as actions

_CONTACT = click.option("--contact", help="An address of the audience; the first if left out.")


@click.command("render", cls=Answering)
@click.argument("schedule_id")
@_CONTACT
def render(schedule_id: str, contact: str | None) -> None:
    """What a recipient would get of the newest content. Nothing is sent."""
    made = services()
    link = made.links.example
    mail = rendering.of_schedule(made.db, ScheduleId(schedule_id), contact, link=link, feeds=made.feeds)
    answer(actions.RenderedOut, actions.rendered(mail), _show)


@click.command("test", cls=Answering)
@click.argument("schedule_id")
@click.argument("to", nargs=-1, required=True)
@_CONTACT
@click.option("--key", help="An Idempotency-Key: the same command again sends nothing.")
def test(schedule_id: str, to: tuple[str, ...], contact: str | None, key: str | None) -> None:
    """Send the newest content to these addresses, as a recipient would get it."""
    made = prepared_services()
    sent = send_test.send(
        made.db,
        ScheduleId(schedule_id),
        to,
        contact=contact,
        link=made.links.example,
        feeds=made.feeds,
        key=key or secrets.token_hex(16),
        hand_in=lambda drafts: made.outbox.hand_in_many(drafts, owner=actor()),
    )
    columns = {"address": "address", "state": "status", "id": "id"}
    answer(actions.TestOut, actions.sent_tests(sent), lambda body: print_rows(body["items"], columns))


def _show(body: Body) -> None:
    for name, value in body["headers"].items():
        click.echo(printable(f"{name}: {value}"))
    click.echo(printable(f"To: {body['contact']}"))
    click.echo(printable(f"Subject: {body['subject']}"))
    if body["preheader"]:
        click.echo(printable(f"Preheader: {body['preheader']}"))
    for part in ("text", "html"):
        if body[part]:
            click.echo(f"\n--- {part}\n{body[part]}")
    for hint in body["hints"]:
        click.echo(printable(f"Hint: {hint['message']}"), err=True)
