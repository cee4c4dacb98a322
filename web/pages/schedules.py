"""Schedules: the list, the form, one schedule with its runs, and what can be done with it."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.domain.content import FIELDS
from mailroom.domain.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidInput,
    RuleNotComputable,
    SchedulePaused,
    StaleEdit,
)
from mailroom.domain.ids import ScheduleId
from mailroom.domain.recurrence import cron
from mailroom.domain.recurrence.model import Kind, Occurrence, Recurrence
from mailroom.domain.runs import OPEN
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.services.common import mailgun_only
from mailroom.services.planning import asked_runs
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import audiences as audience_lists
from mailroom.services.schedules import create as create_schedule
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.pause import Toll
from web import cursors, recipients
from web.acting import ask_even_if_paused
from web.forms import ScheduleForm
from web.session import principal, services, signed_in

blueprint = Blueprint("schedules", __name__)
_ROWS = 50
_PREVIEWED = 5
_AUDIENCES = 200  # the newest ones can be chosen


@blueprint.get("/")
@signed_in()
def index() -> str:
    state = request.args.get("status", "")
    chosen = ScheduleState(state) if state in list(ScheduleState) else None
    before = cursors.decode(request.args.get("before"))
    found = schedule_view.page(services().db, state=chosen, before=before, limit=_ROWS)
    older = cursors.encode(found[-1].created_at, found[-1].id) if len(found) == _ROWS else None
    return render_template("schedules.html", schedules=found, state=state, older=older, in_words=in_words)


@blueprint.route("/schedules/new", methods=["GET", "POST"])
@signed_in("schedules")
def new() -> Any:
    if request.method == "GET":
        form = ScheduleForm.empty()
        form.typed["audience"] = request.args.get("audience", "")
        return _form(form)
    if request.form.get("action") == "refused":
        return recipients.refused_report(services().db, request.form, owner=principal().owner)
    form = _sent()
    if request.form.get("action") == "preview":
        return _previewed(form)
    try:
        form.look_at_recipients()
        draft = form.draft()
        if form.errors:
            form.refuse(InvalidInput(*schedule_drafts.faults_of(services().db, draft)))
            return _form(form), 422
        mailgun_only.check(services().db, services().settings.sending.providers, _said(form.typed))
        key = f"form-{form.typed['nonce'][:64]}"
        stored, made = create_schedule.create(services().db, draft, owner=principal().owner, key=key)
    except InvalidInput as error:
        form.refuse(error)
        return _form(form), 422
    except IdempotencyMismatch:
        form.typed["nonce"] = ScheduleForm.empty().typed["nonce"]
        form.errors["name"] = ["This form was saved before with other values. Save again to make a second schedule."]
        return _form(form), 409
    if made:
        flash("The schedule is saved.")
    return redirect(url_for("schedules.show", schedule_id=stored.schedule.id), 303)


@blueprint.route("/schedules/<schedule_id>/edit", methods=["GET", "POST"])
@signed_in("schedules")
def edit(schedule_id: str) -> Any:
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    if request.method == "GET":
        return _form(ScheduleForm.of(stored), stored.schedule.id)
    if request.form.get("action") == "refused":
        return recipients.refused_report(services().db, request.form, owner=principal().owner)
    form = _sent()
    if request.form.get("action") == "preview":
        return _previewed(form, stored.schedule.id)
    version = form.typed["version"]
    try:
        form.look_at_recipients()
        changes = form.changes(stored)
        if form.errors:
            return _form(form, stored.schedule.id), 422
        mailgun_only.check(services().db, services().settings.sending.providers, _said(form.typed))
        seen = int(version) if re.fullmatch("[0-9]{1,15}", version) else 0
        edit_schedule.edit(services().db, stored.schedule.id, changes, seen_version=seen)
    except InvalidInput as error:
        form.refuse(error)
        return _form(form, stored.schedule.id), 422
    except StaleEdit:
        form.errors["name"] = ["Somebody else has changed this schedule since you opened it. Open it again to see."]
        return _form(form, stored.schedule.id), 412
    except Conflict as error:
        flash(f"Not saved: {error}.")
        return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)
    flash("The changes are saved. They hold for every run that is due from now on.")
    return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)


@blueprint.get("/schedules/<schedule_id>")
@signed_in()
def show(schedule_id: str) -> str:
    services().limits.check_report(principal())
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    before = cursors.decode(request.args.get("before"))
    coming, not_computed = _next_runs(stored.schedule.id)
    runs = run_views.page(services().db, schedule_id=stored.schedule.id, before=before, limit=_ROWS)
    return render_template(
        "schedule.html",
        stored=stored,
        schedule=stored.schedule,
        words=in_words(stored.schedule.recurrence),
        upcoming=coming,
        not_computed=not_computed,
        runs=runs,
        reports=report_counts.reports_of(services().db, runs),
        older=cursors.encode(runs[-1].due_at, runs[-1].id) if len(runs) == _ROWS else None,
        nonce=ScheduleForm.empty().typed["nonce"],
        going=any(run.state in OPEN for run in runs),
    )


@blueprint.post("/schedules/<schedule_id>/<any(pause, resume, skip, archive):action>")
@signed_in("schedules")
def change(schedule_id: str, action: str) -> Any:
    db, id_ = services().db, ScheduleId(schedule_id)
    brakes, by = services().brakes, principal().name
    said = {
        "pause": "Paused. Nothing is sent until you resume it.",
        "resume": "Resumed. What was due meanwhile is recorded as skipped.",
        "archive": "Archived. Its runs and reports stay.",
    }
    actions: dict[str, Callable[[], tuple[Schedule, Toll]]] = {
        "pause": lambda: schedule_pause.pause_schedule(db, brakes, id_, by=by),
        "resume": lambda: schedule_pause.resume_schedule(db, brakes, id_, by=by),
        "archive": lambda: schedule_pause.archive(db, brakes, id_),
    }
    try:
        if action == "skip":
            schedule_lifecycle.skip_next(db, id_)
            flash("The next run is skipped.")
        else:
            _, toll = actions[action]()
            flash(f"{said[action]} {schedule_pause.in_words(toll)}".strip())
    except (Conflict, StaleEdit) as error:
        flash(f"Not done: {error}.")
    return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)


@blueprint.post("/schedules/<schedule_id>/run-now")
@signed_in("schedules")
def run_now(schedule_id: str) -> Any:
    """The form's nonce names the run: pressing twice makes one."""
    key = f"form-{request.form.get('nonce', '')[:64]}"
    try:
        run, _ = asked_runs.run_now(
            services().db,
            ScheduleId(schedule_id),
            owner=principal().owner,
            key=key,
            even_if_paused="even_if_paused" in request.form,
        )
    except SchedulePaused:
        return ask_even_if_paused(back_to=url_for("schedules.show", schedule_id=schedule_id))
    except Conflict as error:
        flash(f"Not done: {error}.")
        return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)
    return redirect(url_for("runs.show", run_id=run.id), 303)


def in_words(rule: Recurrence) -> str:
    """The recurrence as a sentence."""
    match rule.kind:
        case Kind.ONCE:
            if rule.at is None:
                return "once"
            return f"once, on {rule.at:%a %d %b %Y} at {rule.at:{'%H:%M:%S' if rule.at.second else '%H:%M'}}"
        case Kind.CRON:
            return cron.explain(rule.expression)
        case Kind.RRULE:
            return rule.expression
        case Kind.EVERY:
            return f"every {_duration(rule.seconds)}"


def _duration(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % length == 0:
            count = seconds // length
            return unit if count == 1 else f"{count:,} {unit}s"
    return f"{seconds:,} seconds"


def _next_runs(schedule_id: ScheduleId) -> tuple[list[Occurrence], str]:
    """The next runs, or why there are none."""
    try:
        return schedule_view.next_runs(services().db, schedule_id, _PREVIEWED), ""
    except RuleNotComputable as error:
        return [], str(error)


def _zone_of(name: str) -> ZoneInfo:
    """For times beside a form whose zone has been checked."""
    return ZoneInfo(name.strip())


def _previewed(form: ScheduleForm, schedule_id: ScheduleId | None = None) -> Any:
    """The form as it was typed, with the next runs or what is wrong with the rule."""
    upcoming: list[Occurrence] = []
    try:
        rule = form.recurrence()
        if not form.errors:
            upcoming = schedule_view.preview(services().db, rule, _PREVIEWED)
    except InvalidInput as error:
        form.refuse(error)
    status = 422 if form.errors else 200
    return _form(form, schedule_id, upcoming=upcoming), status


def _sent() -> ScheduleForm:
    """The form that came, its recipients read."""
    file = request.files.get("recipients_file")
    return ScheduleForm.sent(request.form, recipients.read(services().db, request.form, file, owner=principal().owner))


def _form(
    form: ScheduleForm, schedule_id: ScheduleId | None = None, *, upcoming: list[Occurrence] | None = None
) -> str:
    return render_template(
        "schedule_form.html",
        form=form,
        schedule_id=schedule_id,
        upcoming=upcoming or [],
        audiences=audience_lists.page(services().db, before=None, limit=_AUDIENCES),
        zone_of=_zone_of,
        zones=sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"),
        **recipients.of_page(form.given),
    )


def _said(typed: Mapping[str, str]) -> dict[str, str]:
    return {name: typed.get(name, "") for name in FIELDS}
