"""Runs: progress and report of one, and the story of each of its mails."""

import secrets
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.domain.errors import SchedulePaused
from mailroom.domain.ids import MessageId, RunId
from mailroom.domain.messages import MessageState
from mailroom.domain.runs import OPEN
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from mailroom.services.reports import timeline
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.pause import in_words
from web.acting import ask_even_if_paused, done_or_told
from web.plots import opens_by_hour
from web.session import principal, services, signed_in

blueprint = Blueprint("runs", __name__)
_ROWS = 50


@blueprint.get("/runs/<run_id>")
@signed_in()
def show(run_id: str) -> str:
    db = services().db
    services().limits.check_report(principal())
    view = run_views.view(db, RunId(run_id))
    _, report = services().reports.get(view.run.id)
    state = request.args.get("status", "")
    chosen = MessageState(state) if state in list(MessageState) else None
    found = run_views.messages_of(db, view.run.id, state=chosen, after=request.args.get("after", ""), limit=_ROWS)
    schedule = schedule_view.get(db, view.run.schedule_id).schedule
    return render_template(
        "run.html",
        view=view,
        run=view.run,
        report=report,
        is_open=view.run.state in OPEN,
        moves=run_views.moves(db, view),
        schedule=schedule,
        messages=found,
        message_states=list(MessageState),
        state=state,
        after=found[-1]["_id"] if len(found) == _ROWS else None,
        toll=schedule_pause.toll(db, services().brakes.fences, [view.run.id]) if view.run.paused_at else None,
        toll_in_words=in_words,
        left=0 if view.run.under_way else resend_runs.unreached_by(db, view.run.id, after="", limit=1).left,
        nonce=secrets.token_hex(16),
        plot=opens_by_hour(report_counts.opens_of_run(db, view.run.id), schedule.recurrence.zone),
    )


@blueprint.post("/runs/<run_id>/send-again")
@signed_in("schedules")
def send_again(run_id: str) -> Any:
    """The page's nonce names the run: pressing twice makes one."""
    key, newest = f"form-{request.form.get('nonce', '')[:64]}", request.form.get("content") == "newest"
    source, owner = RunId(run_id), principal().owner
    even_if_paused = "even_if_paused" in request.form
    batch_size = services().settings.sending.batch_size
    try:
        again = done_or_told(
            lambda: resend_runs.run_again(
                services().db,
                source,
                owner=owner,
                key=key,
                batch_size=batch_size,
                newest=newest,
                even_if_paused=even_if_paused,
            )
        )
    except SchedulePaused:
        return ask_even_if_paused(back_to=url_for("runs.show", run_id=run_id))
    return redirect(url_for("runs.show", run_id=again[0].id if again else run_id), 303)


@blueprint.post("/runs/<run_id>/<any(pause, resume, cancel):action>")
@signed_in("schedules")
def change(run_id: str, action: str) -> Any:
    db, brakes, id_, by = services().db, services().brakes, RunId(run_id), principal().name
    actions = {
        "pause": lambda: schedule_pause.pause_run(db, brakes, id_, by=by),
        "resume": lambda: schedule_pause.resume_run(db, brakes, id_, by=by),
        "cancel": lambda: schedule_pause.cancel_run(db, brakes, id_),
    }
    if done := done_or_told(actions[action]):
        flash(f"{_DONE[action]} {in_words(done[1])}")
    return redirect(url_for("runs.show", run_id=run_id), 303)


_DONE = {"pause": "Paused.", "resume": "Resumed.", "cancel": "Stopped for good."}


@blueprint.get("/runs/<run_id>/mails/<digest>")
@signed_in()
def message(run_id: str, digest: str) -> str:
    db = services().db
    run = run_views.get(db, RunId(run_id))
    return render_template(
        "mail.html",
        story=timeline.story_of(db, MessageId(f"{run_id}/{digest}")),
        run=run,
        schedule=schedule_view.get(db, run.schedule_id).schedule,
    )
