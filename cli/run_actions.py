"""`mailroom runs`: pause, resume, cancel, and resend to the recipients that a run did not reach."""

import secrets

import click

from cli.asked_run import answer_asked_run
from cli.command_table import Answering
from cli.common import actor, services
from cli.questions import asks, confirm
from cli.tolls import answer_with_toll
from mailroom.domain.errors import NobodyLeft
from mailroom.domain.ids import RunId
from mailroom.domain.runs import OPEN, Run
from mailroom.domain.words import counted
from mailroom.services.reports import runs as run_views
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import pause
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.pause import Toll
from scheduler_api.schemas import runs as schemas
from scheduler_api.schemas import tolls as toll_schemas


@click.command("pause", cls=Answering)
@click.argument("run_id")
def pause_run(run_id: str) -> None:
    """Send nothing more of a run until it is resumed."""
    made = services()
    _answer("paused", pause.pause_run(made.db, made.brakes, RunId(run_id), by=actor()))


@click.command("resume", cls=Answering)
@click.argument("run_id")
def resume_run(run_id: str) -> None:
    """Go on with a run."""
    made = services()
    _answer("resumed", pause.resume_run(made.db, made.brakes, RunId(run_id), by=actor()))


@click.command("cancel", cls=Answering)
@click.argument("run_id")
@asks
def cancel_run(run_id: str) -> None:
    """Send nothing more of a run, for good."""
    made, id_ = services(), RunId(run_id)
    run = run_views.get(made.db, id_)
    if run.state in OPEN:
        name = schedule_view.get(made.db, run.schedule_id).schedule.name
        waiting = counted(pause.toll(made.db, made.brakes.fences, [id_]).held, "email")
        confirm(f"Stop sending “{name}”? {waiting} not sent yet would be cancelled for good.")
    _answer("cancelled", pause.cancel_run(made.db, made.brakes, id_))


@click.command("send-again", cls=Answering)
@click.argument("run_id")
@click.option("--newest", is_flag=True, help="The newest content instead of that run's.")
@click.option("--even-if-paused", is_flag=True, help="Also of a paused schedule, which stays paused.")
@click.option("--key", help="An Idempotency-Key: the same command again finds the same run.")
@asks
def run_again(run_id: str, newest: bool, even_if_paused: bool, key: str | None) -> None:
    """Make a run to exactly the recipients that this one did not reach. Prints its id, alone."""
    made, id_ = services(), RunId(run_id)
    source = run_views.get(made.db, id_)
    left = resend_runs.left_of(made.db, source)
    if not left and key is None:
        raise NobodyLeft(f"run {run_id}")
    confirm(
        f"Resend to {counted(left, 'recipient')}?",
        f"Schedule: {schedule_view.get(made.db, source.schedule_id).schedule.name}",
        "Suppressed addresses are excluded. Emails in doubt are not resent.",
    )
    run, _ = resend_runs.run_again(
        made.db,
        id_,
        owner=actor(),
        key=key or secrets.token_hex(16),
        batch_size=made.settings.sending.batch_size,
        newest=newest,
        even_if_paused=even_if_paused,
    )
    answer_asked_run(made.db, run)


def _answer(done: str, changed: tuple[Run, Toll]) -> None:
    run, toll = changed
    answer_with_toll(toll_schemas.PausedRunOut, schemas.run(run), done, toll)
