"""Runs: progress and report of one, its buttons, and the activity of each of its emails."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.errors import Conflict, RunEnded, SchedulePaused, StaleEdit
from mailroom.domain.feeds.model import Item
from mailroom.domain.ids import MessageId, RunId
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import OPEN, RunState
from mailroom.domain.schedules import ScheduleState
from mailroom.domain.words import counted
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from mailroom.services.reports import timeline
from mailroom.services.reports.runs import RunFeed
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.pause import in_words
from web import zones
from web.confirm import Question, ask
from web.flashes import done_or_flashed, flash_problem
from web.plots import opens_by_hour
from web.session import principal, services, signed_in
from web.words import not_sent_yet

blueprint = Blueprint("runs", __name__)
_ROWS = 50
_ITEMS = 20  # of a feed
_SHOWN = 200  # characters of one field


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
    feed = run_views.feed_of(db, view.run)
    zones.show_in(schedule.recurrence.zone)
    return render_template(
        "run.html",
        view=view,
        run=view.run,
        report=report,
        is_open=view.run.state in OPEN,
        moves=run_views.moves(db, view),
        feed=feed,
        feed_items=_items_of(feed),
        schedule=schedule,
        messages=found,
        message_states=list(MessageState),
        state=state,
        after=found[-1].id if len(found) == _ROWS else None,
        toll=schedule_pause.toll(db, services().brakes.fences, [view.run.id]) if view.run.paused_at else None,
        toll_in_words=in_words,
        left=0 if view.run.under_way else _left(view.run.id),
        plot=opens_by_hour(report_counts.opens_of_run(db, view.run.id), schedule.recurrence.zone),
    )


@dataclass(frozen=True, slots=True)
class ShownItem:
    """An item of a feed as the page lists it. `link`: a link of the web, or ''. `published`: as text, if it is no time
    in ISO 8601."""

    title: str
    link: str
    published: datetime | str


def _items_of(feed: RunFeed | None) -> list[ShownItem]:
    """The first items that a run took. Their fields may be anything, where the feed is JSON."""
    items = feed.kept.items[:_ITEMS] if feed and feed.kept else ()
    return [ShownItem(_first(item, "title", "name", "id"), _link(item), _published(item)) for item in items]


def _first(item: Item, *names: str) -> str:
    return next((str(item[name])[:_SHOWN] for name in names if item.get(name) not in (None, "")), "–")


def _published(item: Item) -> datetime | str:
    written = _first(item, "published")
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError):
        return written


def _link(item: Item) -> str:
    link = str(item.get("link", ""))
    return link if link.startswith(("http://", "https://")) else ""


@blueprint.get("/runs/<run_id>/send-again")
@signed_in("schedules")
def ask_send_again(run_id: str) -> ResponseReturnValue:
    return _ask_send_again(RunId(run_id), secrets.token_hex(16), newest=request.args.get("content") == "newest")


@blueprint.post("/runs/<run_id>/send-again")
@signed_in("schedules")
def send_again(run_id: str) -> ResponseReturnValue:
    """The form's nonce names the run: pressing twice makes one. Asks again if the schedule was paused in between."""
    nonce, newest = request.form.get("nonce", "")[:64], request.form.get("content") == "newest"
    try:
        again = done_or_flashed(
            lambda: resend_runs.run_again(
                services().db,
                RunId(run_id),
                owner=principal().owner,
                key=f"form-{nonce}",
                batch_size=services().settings.sending.batch_size,
                newest=newest,
                even_if_paused="even_if_paused" in request.form,
            )
        )
    except SchedulePaused:
        return _ask_send_again(RunId(run_id), nonce, newest=newest, status=409)
    return _to(again[0].id if again else run_id)


def _ask_send_again(run_id: RunId, nonce: str, *, newest: bool, status: int = 200) -> ResponseReturnValue:
    run = run_views.get(services().db, run_id)
    schedule, count = schedule_view.get(services().db, run.schedule_id).schedule, _left(run_id)
    if not count:
        flash_problem("no recipient is left to resend to")
        return _to(run_id)
    details = [
        f"Schedule: {schedule.name}",
        "With its newest content." if newest else "With the content of this run.",
        "Suppressed addresses are excluded. Emails in doubt are not resent.",
    ]
    fields = {"nonce": nonce} | ({"content": "newest"} if newest else {})
    if schedule.state is ScheduleState.PAUSED:
        details.insert(1, "This schedule is paused. It stays paused; this one run is sent.")
        fields["even_if_paused"] = "yes"
    question = Question(f"Resend to {counted(count, 'recipient')}?", "Resend", details, fields, destructive=False)
    page = ask(question, act=url_for("runs.send_again", run_id=run_id), back=url_for("runs.show", run_id=run_id))
    return page, status


def _left(run_id: RunId) -> int:
    return resend_runs.unreached_by(services().db, run_id, after="", limit=1).left


@blueprint.post("/runs/<run_id>/<any(pause, resume):action>")
@signed_in("schedules")
def change(run_id: str, action: str) -> ResponseReturnValue:
    act, said = {
        "pause": (schedule_pause.pause_run, "Paused."),
        "resume": (schedule_pause.resume_run, "Resumed."),
    }[action]
    brakes, by = services().brakes, principal().name
    if changed := done_or_flashed(lambda: act(services().db, brakes, RunId(run_id), by=by)):
        flash(f"{said} {in_words(changed[1])}")
    return _to(run_id)


@blueprint.get("/runs/<run_id>/cancel")
@signed_in("schedules")
def ask_cancel(run_id: str) -> ResponseReturnValue:
    db = services().db
    run = run_views.get(db, RunId(run_id))
    if run.state not in OPEN:
        flash_problem("this run is not sending")
        return _to(run_id)
    name = schedule_view.get(db, run.schedule_id).schedule.name
    held = schedule_pause.toll(db, services().brakes.fences, [run.id]).held
    details = [not_sent_yet(held), "They are cancelled for good. Requests in flight are finished."]
    question = Question(f"Stop sending “{name}”?", "Stop sending", details)
    return ask(question, act=url_for("runs.cancel", run_id=run_id), back=url_for("runs.show", run_id=run_id))


@blueprint.post("/runs/<run_id>/cancel")
@signed_in("schedules")
def cancel(run_id: str) -> ResponseReturnValue:
    """Stopping again changes nothing."""
    db, brakes, id_ = services().db, services().brakes, RunId(run_id)
    try:
        _, toll = schedule_pause.cancel_run(db, brakes, id_)
        flash(f"Stopped for good. {in_words(toll)}")
    except RunEnded as error:
        if run_views.get(db, id_).state is RunState.CANCELLED:
            flash("Stopped for good.")
        else:
            flash_problem(error)
    except (Conflict, StaleEdit) as error:
        flash_problem(error)
    return _to(run_id)


@blueprint.get("/runs/<run_id>/mails/<digest>")
@signed_in()
def message(run_id: str, digest: str) -> str:
    db = services().db
    run = run_views.get(db, RunId(run_id))
    schedule = schedule_view.get(db, run.schedule_id).schedule
    zones.show_in(schedule.recurrence.zone)
    return render_template(
        "mail.html",
        story=timeline.story_of(db, MessageId(f"{run_id}/{digest}")),
        run=run,
        schedule=schedule,
    )


def _to(run_id: str) -> ResponseReturnValue:
    return redirect(url_for("runs.show", run_id=run_id), 303)
