"""`mailroom schedules`: lists, details and next runs. The commands that change a schedule are in modules beside
this."""

from typing import Any
from zoneinfo import ZoneInfo

import click

from cli.answers import Body, answer
from cli.bodies import BODY, document_of, loaded
from cli.command_table import Noun
from cli.common import services
from cli.paging import choice_of, paged
from cli.schedule_actions import archive_schedule, pause_schedule, restore_schedule, resume_schedule, run_now, skip_next
from cli.schedule_changes import create_schedule, edit_schedule
from cli.schedule_copies import duplicate
from cli.schedule_previews import render, test
from cli.schedule_report import report
from cli.tables import print_fields, print_page, print_rows
from mailroom.domain.ids import ScheduleId
from mailroom.domain.limits import MAX_NEXT_RUNS
from mailroom.domain.schedules import ScheduleState
from mailroom.domain.searches import ScheduleOrder, ScheduleSearch
from mailroom.services.schedules import search as schedule_search
from mailroom.services.schedules import view as schedule_view
from scheduler_api import paging
from scheduler_api.schemas import recurrences
from scheduler_api.schemas import schedules as schemas
from scheduler_api.schemas.schedule_actions import Occurrences
from scheduler_api.schemas.searches import SchedulePage, total
from scheduler_api.shown_schedules import whole


@click.group(cls=Noun)
def schedules() -> None:
    """Schedules: make, list, show, change, run, pause, archive."""


for command in (
    create_schedule,
    edit_schedule,
    pause_schedule,
    resume_schedule,
    run_now,
    skip_next,
    archive_schedule,
    restore_schedule,
    render,
    test,
    duplicate,
    report,
):
    schedules.add_command(command)


@schedules.command("list")
@click.option("--name", help="What a word of the name begins with.")
@click.option("--status", type=choice_of(ScheduleState), help="Archived ones are shown only if asked for.")
@click.option("--sort", type=choice_of(ScheduleOrder), default=ScheduleOrder.NEWEST.value, show_default=True)
@click.option("--total", "counted", is_flag=True, help="Say how many are found.")
@paged
def list_schedules(
    name: str | None, status: str | None, sort: str, counted: bool, limit: int, cursor: str | None
) -> None:
    """Schedules, and when they run next; the newest first."""
    search, order = ScheduleSearch(name, ScheduleState(status) if status else None), ScheduleOrder(sort)
    by_time = order not in (ScheduleOrder.NAME, ScheduleOrder.NAME_DOWN)
    after, db = paging.decode_place(cursor, by_time=by_time), services().db
    found = schedule_search.page(db, search, order, after=after, limit=limit)
    last = schedule_view.last_times(db, [schedule.id for schedule in found])
    page = paging.page_of(
        found,
        limit,
        lambda one: schemas.summary(one, last[one.id]),
        lambda one: schedule_search.place_of(one, order),
    )
    answer(SchedulePage, page | total(schedule_search.count(db, search) if counted else None), _show_page)


@schedules.command("show")
@click.argument("schedule_id")
def show_schedule(schedule_id: str) -> None:
    """A schedule with its newest content. Recipients are counted, not listed."""
    db = services().db
    answer(schemas.ScheduleOut, whole(db, schedule_view.get(db, ScheduleId(schedule_id))), print_fields)


@schedules.command("next-runs")
@click.argument("schedule_id")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, MAX_NEXT_RUNS))
def next_runs(schedule_id: str, count: int) -> None:
    """The next due instants, with a note where a change of the clocks moves one."""
    db = services().db
    schedule = schedule_view.get(db, ScheduleId(schedule_id)).schedule
    due = schedule_view.next_runs(db, schedule.id, count)
    zone = schedule.recurrence.zone
    answer(Occurrences, {"items": [recurrences.occurrence(zone, one) for one in due]}, _show_instants)


@schedules.command("preview")
@BODY
def preview(file: Any) -> None:
    """The next due instants of a recurrence that is not stored: {"recurrence": {...}, "count": 5} in a JSON file."""
    asked = loaded(recurrences.PreviewIn(), document_of(file))
    due = schedule_view.preview(services().db, asked["recurrence"], asked["count"])
    zone = ZoneInfo(asked["recurrence"]["time_zone"])
    answer(Occurrences, {"items": [recurrences.occurrence(zone, one) for one in due]}, _show_instants)


def _show_page(body: Body) -> None:
    print_page(body, {"id": "id", "name": "name", "state": "status", "next run": "next_run_at"})


def _show_instants(body: Body) -> None:
    print_rows(body["items"], {"local time": "at", "UTC": "at_utc", "note": lambda due: due["note"] or ""})
