"""`mailroom schedules render` and `duplicate`: see a schedule's mail, and copy the schedule."""

import secrets

import click

from cli.answers import Body, answer, print_id
from cli.command_table import Answering
from cli.common import actor, prepared_services, services
from cli.tables import printable
from mailroom.domain.ids import ScheduleId
from mailroom.services.schedules import duplicate as duplicates
from mailroom.services.schedules import rendering
from scheduler_api.schemas import schedule_actions as actions
from scheduler_api.schemas import schedules as schemas
from scheduler_api.shown_schedules import whole


@click.command("render", cls=Answering)
@click.argument("schedule_id")
@click.option("--contact", help="An address of the audience; the first if left out.")
def render(schedule_id: str, contact: str | None) -> None:
    """What a recipient would get of the newest content. Nothing is sent."""
    made = services()
    mail = rendering.of_schedule(made.db, ScheduleId(schedule_id), contact, link=made.links.example)
    answer(actions.RenderedOut, actions.rendered(mail), _show)


@click.command("duplicate", cls=Answering)
@click.argument("schedule_id")
@click.option("--key", help="An Idempotency-Key: the same command again finds the same copy.")
def duplicate(schedule_id: str, key: str | None) -> None:
    """Copy a schedule, paused. Prints the copy's id, alone, on standard output."""
    db = prepared_services().db
    stored, _ = duplicates.duplicate(db, ScheduleId(schedule_id), owner=actor(), key=key or secrets.token_hex(16))
    answer(schemas.ScheduleOut, whole(db, stored), print_id)


def _show(body: Body) -> None:
    for name, value in body["headers"].items():
        click.echo(printable(f"{name}: {value}"))
    click.echo(printable(f"To: {body['contact']}"))
    click.echo(printable(f"Subject: {body['subject']}"))
    for part in ("text", "html"):
        if body[part]:
            click.echo(f"\n--- {part}\n{body[part]}")
