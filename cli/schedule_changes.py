"""`mailroom schedules create` and `edit`: a schedule from a JSON document, as the API takes it."""

from typing import Any

import click

from cli.answers import answer, print_id
from cli.bodies import BODY, document_of, loaded
from cli.command_table import Answering
from cli.common import actor, prepared_services, services
from mailroom.domain.ids import ScheduleId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_VALUES_OF_A_LIST
from mailroom.services.schedules import create, edit
from scheduler_api import schedule_bodies
from scheduler_api.schemas import schedule_drafts, schedule_edits
from scheduler_api.schemas import schedules as schemas
from scheduler_api.shown_schedules import whole


@click.command("create", cls=Answering)
@BODY
@click.option("--key", help="An Idempotency-Key: the same command again finds the same schedule.")
def create_schedule(file: Any, key: str | None) -> None:
    """Make a schedule of a JSON file, or of standard input (-). Prints its id, alone, on standard output.

    The fields are those of POST /v1/schedules. With a fault anywhere nothing is stored.
    """
    document = document_of(file, most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
    made = prepared_services()
    body = loaded(
        schedule_drafts.ScheduleIn(),
        document,
        further=lambda asked, good: schedule_bodies.further_faults(made.db, asked, good),
    )
    stored, _ = create.create(made.db, schedule_bodies.draft(made, body), owner=actor(), key=key)
    answer(schemas.ScheduleOut, whole(made.db, stored), print_id)


@click.command("edit", cls=Answering)
@click.argument("schedule_id")
@BODY
@click.option("--if-version", type=int, help="Only if the schedule is still at this version.")
def edit_schedule(schedule_id: str, file: Any, if_version: int | None) -> None:
    """Change the fields that a JSON file names, or standard input (-). Prints the schedule's id.

    The answer of `show --json` is taken back: what is as it is stored changes nothing.
    """
    document = document_of(file, most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
    made, id_ = services(), ScheduleId(schedule_id)
    body = loaded(
        schedule_edits.WholeScheduleEdit(),
        document,
        further=lambda asked, good: schedule_bodies.further_faults_of_edit(made.db, asked, good),
    )
    changes = schedule_bodies.changes(made, id_, body)
    stored = edit.edit(made.db, id_, changes, seen_version=if_version)
    answer(schemas.ScheduleOut, whole(made.db, stored), print_id)
