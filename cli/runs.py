"""`mailroom runs`: lists, details, mails and recipients not reached. run_actions.py has the commands that change a
run."""

from datetime import datetime

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import services
from cli.paging import choice_of, moment, paged
from cli.run_actions import cancel_run, pause_run, resume_run, run_again
from cli.schedule_report import bounces_in_words
from cli.tables import print_fields, print_page
from cli.unreached import unreached
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import RunState
from mailroom.domain.searches import RunOrder, RunSearch
from mailroom.services.common import sending_switch
from mailroom.services.reports import counts, run_search
from mailroom.services.reports import runs as run_views
from scheduler_api import paging
from scheduler_api.schemas import feeds as feed_schemas
from scheduler_api.schemas import messages as message_schemas
from scheduler_api.schemas import reports as report_schemas
from scheduler_api.schemas import runs as schemas
from scheduler_api.schemas import searches as search_schemas


@click.group("runs", cls=Noun)
def runs_() -> None:
    """Runs: list, show, pause, resume, cancel, send again."""


for command in (pause_run, resume_run, cancel_run, run_again, unreached):
    runs_.add_command(command)


@runs_.command("list")
@click.option("--schedule", "name", help="Runs of the schedules with a word in their name that begins with this.")
@click.option("--schedule-id")
@click.option("--status", type=choice_of(RunState))
@click.option("--since", callback=moment, help="Due at this time or later: ISO 8601 with an offset.")
@click.option("--until", callback=moment, help="Due before this time.")
@click.option("--sort", type=choice_of(RunOrder), default=RunOrder.LATEST_DUE.value, show_default=True)
@click.option("--total", "counted", is_flag=True, help="Say how many are found.")
@paged
def list_runs(
    name: str | None,
    schedule_id: str | None,
    status: str | None,
    since: datetime | None,
    until: datetime | None,
    sort: str,
    counted: bool,
    limit: int,
    cursor: str | None,
) -> None:
    """Runs, and recorded decisions not to run; the latest due instant first."""
    state = RunState(status) if status else None
    search = RunSearch(name, ScheduleId(schedule_id) if schedule_id else None, state, since, until)
    after, db = paging.decode_time_and_id(cursor), services().db
    found = run_search.page(db, search, RunOrder(sort), after=after, limit=limit)
    page = paging.page_of(found, limit, search_schemas.listed_run, run_search.place_of)
    total = search_schemas.total(run_search.count(db, search) if counted else None)
    answer(search_schemas.ListedRunPage, page | total, _show_page)


@runs_.command("show")
@click.argument("run_id")
def show_run(run_id: str) -> None:
    """A run."""
    db = services().db
    run = run_views.get(db, RunId(run_id))
    shown = schemas.whole_run(run, run_views.slices_of(db, run), sending_switch.why_stopped(db))
    answer(schemas.WholeRunOut, shown, print_fields)


@runs_.command("report")
@click.argument("run_id")
def report(run_id: str) -> None:
    """Its counts at this moment; they equal a recount of the raw events."""
    _, found = counts.run_report(services().db, RunId(run_id))
    answer(report_schemas.ReportOut, report_schemas.report(found), _show_report)


def _show_report(body: Body) -> None:
    print_fields({**body, "bounced": bounces_in_words(body)})


@runs_.command("feed")
@click.argument("run_id")
def feed(run_id: str) -> None:
    """The feed that a run has kept, or why it has none yet."""
    found = run_views.get_feed(services().db, RunId(run_id))
    answer(feed_schemas.RunFeedOut, feed_schemas.run_feed(found), print_fields)


@runs_.command("messages")
@click.argument("run_id")
@click.option("--status", type=choice_of(MessageState))
@paged
def messages(run_id: str, status: str | None, limit: int, cursor: str | None) -> None:
    """Its mails, one for each recipient."""
    after, state = paging.decode_id(cursor), MessageState(status) if status else None
    found = run_views.messages_of(services().db, RunId(run_id), state=state, after=after, limit=limit)
    answer(
        search_schemas.MessagePage, paging.page_of(found, limit, message_schemas.message, paging.by_id), _show_messages
    )


def _show_page(body: Body) -> None:
    columns = {"id": "id", "schedule": "schedule_name", "due": "due_at", "state": "status", "recipients": "recipients"}
    print_page(body, columns)


def _show_messages(body: Body) -> None:
    print_page(body, {"id": "id", "address": "address", "state": "status", "code": "code", "why": "reason"})
