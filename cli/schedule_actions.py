"""`mailroom schedules`: run now, skip, pause, resume, archive, restore."""

import secrets

import click

from cli.answers import Body, answer
from cli.asked_run import answer_asked_run
from cli.command_table import Answering
from cli.common import actor, services
from cli.questions import asks, confirm, is_asked
from cli.tolls import answer_with_toll
from mailroom.assembly.api import ApiServices
from mailroom.domain.errors import ScheduleNotActive, StaleEdit
from mailroom.domain.ids import ScheduleId
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.domain.words import counted
from mailroom.services.audiences import counting
from mailroom.services.planning import asked_runs
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import lifecycle, pause, restore
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.pause import Toll
from mailroom.services.schedules.view import StoredSchedule
from mailroom.storage.database import Db
from scheduler_api.schemas import runs as run_schemas
from scheduler_api.schemas.schedule_actions import PausedSchedule
from scheduler_api.shown_schedules import summary

_RUNS = 50  # of a schedule: the newest, among which the open ones are


@click.command("run-now", cls=Answering)
@click.argument("schedule_id")
@click.option("--key", help="An Idempotency-Key: the same command again finds the same run.")
@click.option("--even-if-paused", is_flag=True, help="Also of a paused schedule, which stays paused.")
@asks
def run_now(schedule_id: str, key: str | None, even_if_paused: bool) -> None:
    """Send now, beside the recurrence. Prints the run's id, alone, on standard output."""
    made, id_ = services(), ScheduleId(schedule_id)
    stored = schedule_view.get(made.db, id_)
    if key is None:  # else the run may exist already, whatever state the schedule is in
        asked_runs.require_runnable(stored.schedule, even_if_paused=even_if_paused)
    if is_asked():
        _ask_with_count(made.db, stored)
    key = key or secrets.token_hex(16)
    run, _ = asked_runs.run_now(made.db, id_, owner=actor(), key=key, even_if_paused=even_if_paused)
    answer_asked_run(made.db, run)


def _ask_with_count(db: Db, stored: StoredSchedule) -> None:
    """Raises StaleEdit if others are to get it since, or something else."""
    numbers = counting.count_of(db, stored.content)
    about = [f"Schedule: {stored.schedule.name}", f"Subject: {stored.content.subject}", numbers.said_of_suppressed]
    confirm(f"Send now to {numbers.words('recipient')}?", *filter(None, about))
    now = schedule_view.get(db, stored.schedule.id)
    since = counting.count_of(db, now.content)
    others = since.exact and numbers.exact and since.found != numbers.found
    if others or now.schedule.revision != stored.schedule.revision:
        raise StaleEdit(f"the schedule has changed since the question: it goes to {since.words('recipient')} now")


@click.command("skip-next", cls=Answering)
@click.argument("schedule_id")
@asks
def skip_next(schedule_id: str) -> None:
    """Record that the next due instant does not run."""
    made, id_ = services(), ScheduleId(schedule_id)
    schedule = schedule_view.get(made.db, id_).schedule
    if schedule.next_run_at is None:
        raise ScheduleNotActive(f"only an active schedule has a next run; this one is {schedule.state}")
    due = schedule.next_run_at.astimezone(schedule.recurrence.zone).isoformat()
    confirm(f"Skip the next run of “{schedule.name}”, due {due}?", "A skipped run cannot be brought back.")
    _, record = lifecycle.skip_next(made.db, id_, seen_version=schedule.version)

    def show(_: Body) -> None:
        click.echo(f"skipped: {due}")

    answer(run_schemas.RunOut, run_schemas.run(record), show)


@click.command("pause", cls=Answering)
@click.argument("schedule_id")
def pause_schedule(schedule_id: str) -> None:
    """Plan no further instant, and hold the schedule's open runs, until it is resumed."""
    made = services()
    _answer(made.db, "paused", pause.pause_schedule(made.db, made.brakes, ScheduleId(schedule_id), by=actor()))


@click.command("resume", cls=Answering)
@click.argument("schedule_id")
def resume_schedule(schedule_id: str) -> None:
    """Go on from now, with the runs that were paused with the schedule."""
    made = services()
    _answer(made.db, "resumed", pause.resume_schedule(made.db, made.brakes, ScheduleId(schedule_id), by=actor()))


@click.command("archive", cls=Answering)
@click.argument("schedule_id")
@asks
def archive_schedule(schedule_id: str) -> None:
    """Archive a schedule: mails that have not gone out are cancelled."""
    made, id_ = services(), ScheduleId(schedule_id)
    schedule = schedule_view.get(made.db, id_).schedule
    if schedule.state is not ScheduleState.ARCHIVED:
        waiting = counted(_waiting(made, id_), "email")
        confirm(
            f"Archive “{schedule.name}”? {waiting} not sent yet would be cancelled.",
            "It plans no more runs and leaves the list. Its runs and reports stay.",
        )
    _answer(made.db, "archived", pause.archive(made.db, made.brakes, id_))


@click.command("restore", cls=Answering)
@click.argument("schedule_id")
def restore_schedule(schedule_id: str) -> None:
    """Take a schedule out of the archive. It comes back paused."""
    made = services()
    _answer(made.db, "restored, and paused", restore.restore(made.db, made.brakes, ScheduleId(schedule_id), by=actor()))


def _waiting(made: ApiServices, schedule_id: ScheduleId) -> int:
    """How many mails of its open runs have not gone out."""
    newest = run_views.page(made.db, schedule_id=schedule_id, before=None, limit=_RUNS)
    under_way = [run.id for run in newest if run.under_way]
    return pause.toll(made.db, made.brakes.fences, under_way).held if under_way else 0


def _answer(db: Db, done: str, changed: tuple[Schedule, Toll]) -> None:
    schedule, toll = changed
    answer_with_toll(PausedSchedule, summary(db, schedule), done, toll)
