"""A schedule's buttons: pause, resume and restore at once; send now, skip and archive after a question."""

import secrets
from datetime import UTC, datetime

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.errors import Conflict, RunNotFound, SchedulePaused, StaleEdit
from mailroom.domain.ids import ScheduleId, due_run_id
from mailroom.domain.misfire import SkipReason
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.services.audiences import counting
from mailroom.services.audiences.counting import Numbers
from mailroom.services.planning import asked_runs
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import duplicate as duplicate_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules import restore as schedule_restore
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.pause import Toll
from mailroom.services.schedules.view import StoredSchedule
from web import zones
from web.confirm import Question, ask
from web.flashes import done_or_flashed, flash_problem
from web.session import principal, services, signed_in
from web.words import moment, not_sent_yet

blueprint = Blueprint("schedule_actions", __name__, url_prefix="/schedules/<schedule_id>")
_RUNS = 50  # of a schedule: the newest, among which the open ones are


@blueprint.post("/<any(pause, resume):action>")
@signed_in("schedules")
def change(schedule_id: str, action: str) -> ResponseReturnValue:
    act, said = {
        "pause": (schedule_pause.pause_schedule, "Paused. Nothing is sent until you resume it."),
        "resume": (schedule_pause.resume_schedule, "Resumed. Runs due during the pause are recorded as skipped."),
    }[action]
    id_, brakes, by = ScheduleId(schedule_id), services().brakes, principal().name
    if changed := done_or_flashed(lambda: act(services().db, brakes, id_, by=by)):
        flash(f"{said} {schedule_pause.in_words(changed[1])}".strip())
    return _back(schedule_id)


@blueprint.get("/run-now")
@signed_in("schedules")
def ask_run_now(schedule_id: str) -> ResponseReturnValue:
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    return _ask_run_now(stored, counting.count_of(services().db, stored.content), secrets.token_hex(16))


@blueprint.post("/run-now")
@signed_in("schedules")
def run_now(schedule_id: str) -> ResponseReturnValue:
    """The form's nonce names the run: pressing twice makes one. Asks again if recipients, content or a pause have come
    to differ from what was shown."""
    nonce = request.form.get("nonce", "")[:64]
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    numbers = counting.count_of(services().db, stored.content)
    if request.form.get("recipients") != _seen(stored, numbers):
        return _ask_run_now(stored, numbers, nonce, status=409)
    try:
        run = done_or_flashed(
            lambda: asked_runs.run_now(
                services().db,
                stored.schedule.id,
                owner=principal().owner,
                key=f"form-{nonce}",
                even_if_paused="even_if_paused" in request.form,
            )
        )
    except SchedulePaused:
        return _ask_run_now(schedule_view.get(services().db, stored.schedule.id), numbers, nonce, status=409)
    return redirect(url_for("runs.show", run_id=run[0].id), 303) if run else _back(schedule_id)


def _ask_run_now(stored: StoredSchedule, numbers: Numbers, nonce: str, *, status: int = 200) -> ResponseReturnValue:
    schedule = stored.schedule
    if schedule.state is ScheduleState.ARCHIVED:
        flash_problem("an archived schedule sends nothing")
        return _back(schedule.id)
    fields = {"nonce": nonce, "recipients": _seen(stored, numbers)}
    details = [f"Schedule: {schedule.name}", f"Subject: {stored.content.subject}"]
    if numbers.said_of_suppressed:
        details.append(numbers.said_of_suppressed)
    if schedule.state is ScheduleState.PAUSED:
        details.append("This schedule is paused. It stays paused; this one run is sent.")
        fields["even_if_paused"] = "yes"
    else:
        details.append("The run is sent beside the schedule; its next run stays as it is.")
    question = Question(f"Send now to {numbers.words('recipient')}?", "Send now", details, fields, destructive=False)
    act = url_for("schedule_actions.run_now", schedule_id=schedule.id)
    return ask(question, act=act, back=_page_of(schedule.id)), status


def _seen(stored: StoredSchedule, numbers: Numbers) -> str:
    """What the question has shown, for the form: an estimate may differ the next time, the audiences' size does not."""
    many = str(numbers.found) if numbers.exact else f"about {stored.content.recipients}"
    return f"{many} of revision {stored.schedule.revision}"


@blueprint.get("/skip")
@signed_in("schedules")
def ask_skip(schedule_id: str) -> ResponseReturnValue:
    schedule = schedule_view.get(services().db, ScheduleId(schedule_id)).schedule
    zones.show_in(schedule.recurrence.zone)
    if problem := _why_not_skipped(schedule):
        flash_problem(problem)
        return _back(schedule_id)
    question = Question(
        f"Skip the next run of “{schedule.name}”?",
        "Skip this run",
        [f"It is due {moment(schedule.next_run_at)}. A skipped run cannot be brought back; the runs after it stay."],
        {"due": str(schedule.next_run_at)},
    )
    return ask(question, act=url_for("schedule_actions.skip", schedule_id=schedule_id), back=_page_of(schedule_id))


@blueprint.post("/skip")
@signed_in("schedules")
def skip(schedule_id: str) -> ResponseReturnValue:
    """Skip the run that the question named; pressing twice skips no second one."""
    schedule = schedule_view.get(services().db, ScheduleId(schedule_id)).schedule
    try:
        if request.form.get("due", "") != str(schedule.next_run_at):
            raise StaleEdit("the run that you saw is not the next one any more")
        if problem := _why_not_skipped(schedule):
            raise StaleEdit(problem)
        schedule_lifecycle.skip_next(services().db, schedule.id, seen_version=schedule.version)
        flash("The next run is skipped.")
    except (Conflict, StaleEdit) as error:
        if _was_skipped(schedule.id, request.form.get("due", "")):
            flash("The next run is skipped.")
        else:
            flash_problem(error)
    return _back(schedule_id)


def _was_skipped(schedule_id: ScheduleId, due: str) -> bool:
    """True if a person has skipped the run of this instant: the form was sent twice."""
    try:
        run = run_views.get(services().db, due_run_id(schedule_id, datetime.fromisoformat(due)))
    except (ValueError, RunNotFound):
        return False
    return run.reason == SkipReason.ASKED


def _why_not_skipped(schedule: Schedule) -> str:
    """'' if the run that the page names is the one that would be skipped."""
    if schedule.state is not ScheduleState.ACTIVE or schedule.next_run_at is None:
        return "this schedule has no next run"
    if schedule.wanted_at and schedule.wanted_at <= datetime.now(UTC):
        return "its next run is due at this moment"
    return ""


@blueprint.get("/archive")
@signed_in("schedules")
def ask_archive(schedule_id: str) -> ResponseReturnValue:
    schedule = schedule_view.get(services().db, ScheduleId(schedule_id)).schedule
    runs = run_views.page(services().db, schedule_id=schedule.id, before=None, limit=_RUNS)
    under_way = [run.id for run in runs if run.under_way]
    details = ["It plans no more runs and leaves the list. Its runs and reports stay."]
    if under_way and (held := schedule_pause.toll(services().db, services().brakes.fences, under_way).held):
        details.insert(0, f"{not_sent_yet(held)} {'It is' if held == 1 else 'They are'} cancelled.")
    question = Question(f"Archive “{schedule.name}”?", "Archive", details)
    return ask(question, act=url_for("schedule_actions.archive", schedule_id=schedule_id), back=_page_of(schedule_id))


@blueprint.post("/archive")
@signed_in("schedules")
def archive(schedule_id: str) -> ResponseReturnValue:
    """Archiving again changes nothing, not even in the same moment."""
    id_, brakes = ScheduleId(schedule_id), services().brakes

    def act() -> tuple[Schedule, Toll]:
        try:
            return schedule_pause.archive(services().db, brakes, id_)
        except StaleEdit:
            return schedule_pause.archive(services().db, brakes, id_)

    if changed := done_or_flashed(act):
        flash(f"Archived. Its runs and reports stay. {schedule_pause.in_words(changed[1])}".strip())
    return _back(schedule_id)


@blueprint.post("/restore")
@signed_in("schedules")
def restore(schedule_id: str) -> ResponseReturnValue:
    """Restoring mails nothing: the schedule comes back paused. Restoring again changes nothing."""
    id_, brakes, by = ScheduleId(schedule_id), services().brakes, principal().name
    if restored := done_or_flashed(lambda: schedule_restore.restore(services().db, brakes, id_, by=by)):
        flash(f"Restored. {schedule_pause.in_words(restored[1])}".strip())
    return _back(schedule_id)


@blueprint.post("/duplicate")
@signed_in("schedules")
def duplicate(schedule_id: str) -> ResponseReturnValue:
    """The page's nonce names the copy: pressing twice makes one."""
    key = f"form-{request.form.get('nonce', '')[:64]}"
    copied = done_or_flashed(
        lambda: duplicate_schedule.duplicate(services().db, ScheduleId(schedule_id), owner=principal().owner, key=key)
    )
    if copied is None:
        return _back(schedule_id)
    flash("This is the copy. It is paused: nothing is sent until you resume it.")
    return _back(copied[0].schedule.id)


def _page_of(schedule_id: str) -> str:
    return url_for("schedules.show", schedule_id=schedule_id)


def _back(schedule_id: str) -> ResponseReturnValue:
    return redirect(_page_of(schedule_id), 303)
