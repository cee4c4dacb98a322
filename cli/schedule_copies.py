"""`mailroom schedules duplicate`: copy a schedule."""

import secrets

import click

from cli.answers import answer, print_id
from cli.command_table import Answering
from cli.common import actor, prepared_services
from mailroom.domain.ids import ScheduleId
from mailroom.services.schedules import duplicate as duplicates
from scheduler_api.schemas import schedules as schemas
from scheduler_api.shown_schedules import whole


@click.command("duplicate", cls=Answering)
@click.argument("schedule_id")
@click.option("--key", help="An Idempotency-Key: the same command again finds the same copy.")
def duplicate(schedule_id: str, key: str | None) -> None:
    """Copy a schedule, paused. Prints the copy's id, alone, on standard output."""
    db = prepared_services().db
    stored, _ = duplicates.duplicate(db, ScheduleId(schedule_id), owner=actor(), key=key or secrets.token_hex(16))
    answer(schemas.ScheduleOut, whole(db, stored), print_id)
