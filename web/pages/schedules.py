"""Schedules: the list, and one with its next runs and its runs."""

import secrets
from typing import Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from mailroom.domain.audiences import Audience
from mailroom.domain.errors import AudienceNotFound, InvalidInput, RuleNotComputable
from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.recurrence.model import Occurrence
from mailroom.domain.runs import OPEN
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.domain.searches import ScheduleOrder, ScheduleSearch
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import search as schedule_search
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.search import Place
from web import cursors, mail_frames, zones
from web.forms.searches import ScheduleSearchForm
from web.listing import Listing, asked_order
from web.recurrences import in_words
from web.session import principal, services, signed_in

blueprint = Blueprint("schedules", __name__)
_ROWS = 50
_UPCOMING = 5
_ORDERS: Final = {
    ScheduleOrder.NEWEST: "Newest",
    ScheduleOrder.OLDEST: "Oldest",
    ScheduleOrder.NAME: "Name",
    ScheduleOrder.NAME_DOWN: "Name, Z to A",
    ScheduleOrder.NEXT_RUN: "Next run",
    ScheduleOrder.NEXT_RUN_DOWN: "Next run, latest",
}


@blueprint.get("/")
@signed_in()
def index() -> ResponseReturnValue:
    db, form, status = services().db, ScheduleSearchForm(request.args), request.args.get("status", "")
    state = ScheduleState(status) if status in list(ScheduleState) else None
    order = asked_order(ScheduleOrder.NEWEST)
    listing = Listing("schedules.index", form.filters() | {"status": state or ""}, order, ScheduleOrder.NEWEST)
    search = ScheduleSearch(form.name.data.strip() or None, state)
    try:
        count = schedule_search.count(db, search)
        schedules = schedule_search.page(db, search, order, after=_place(order), limit=_ROWS)
    except InvalidInput as error:
        form.refuse(error.faults)
        count, schedules = None, []
    zones.show_in_common(schedule.recurrence.zone for schedule in schedules)
    page = render_template(
        "schedules.html",
        listing=listing,
        form=form,
        orders=_ORDERS,
        state=state or "",
        count=count,
        schedules=schedules,
        after=_cursor(schedules[-1], order) if len(schedules) == _ROWS else None,
        in_words=in_words,
    )
    return page, 422 if form.errors else 200


def _place(order: ScheduleOrder) -> Place | None:
    asked = request.args.get("after")
    by_name = order in (ScheduleOrder.NAME, ScheduleOrder.NAME_DOWN)
    return cursors.decode_name(asked) if by_name else cursors.decode_timeless(asked)


def _cursor(schedule: Schedule, order: ScheduleOrder) -> str:
    return cursors.encode(*schedule_search.place_of(schedule, order))


@blueprint.get("/schedules/<schedule_id>")
@signed_in()
def show(schedule_id: str) -> str:
    services().limits.check_report(principal())
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    zones.show_in(stored.schedule.recurrence.zone)
    before = cursors.decode(request.args.get("before"))
    upcoming, not_computed = _next_runs(stored.schedule.id)
    runs = run_views.page(services().db, schedule_id=stored.schedule.id, before=before, limit=_ROWS)
    checked = stored.schedule.state in (ScheduleState.ACTIVE, ScheduleState.PAUSED)
    return render_template(
        "schedule.html",
        stored=stored,
        schedule=stored.schedule,
        audiences=[(one, _audience(one.audience)) for one in stored.content.goes_to],
        excluded=[(one, _audience(one.audience)) for one in stored.content.excluded],
        words=in_words(stored.schedule.recurrence),
        upcoming=upcoming,
        not_computed=not_computed,
        runs=runs,
        reports=report_counts.reports_of(services().db, runs),
        older=cursors.encode(runs[-1].due_at, runs[-1].id) if len(runs) == _ROWS else None,
        going=any(run.state in OPEN for run in runs),
        nonce=secrets.token_hex(16),
        checked=checked,
        hints=mail_frames.glance(stored.content) if checked else (),
    )


def _audience(id_: AudienceId) -> Audience | None:
    try:
        return audience_lists.get(services().db, id_)
    except AudienceNotFound:
        return None


def _next_runs(schedule_id: ScheduleId) -> tuple[list[Occurrence], str]:
    """The next runs, or why there are none."""
    try:
        return schedule_view.next_runs(services().db, schedule_id, _UPCOMING), ""
    except RuleNotComputable as error:
        return [], str(error)
