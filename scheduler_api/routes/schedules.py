"""`/v1/schedules`: made, changed, paused, resumed, run, skipped, archived, and looked at."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from flask import url_for

from mailroom.domain.errors import Fault
from mailroom.domain.ids import ScheduleId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_VALUES_OF_A_LIST
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.domain.searches import ScheduleOrder, ScheduleSearch
from mailroom.services.common import sending_switch
from mailroom.services.planning import asked_runs
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import create as create_schedule
from mailroom.services.schedules import duplicate as duplicate_schedule
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules import restore as schedule_restore
from mailroom.services.schedules import search as schedule_search
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.pause import Toll
from scheduler_api import paging, schedule_bodies
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.headers import KEY, KEY_NEEDED, SEEN, etag, given_key, needed_key, seen_version
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import recurrences, schedule_drafts, schedule_edits
from scheduler_api.schemas import runs as run_schemas
from scheduler_api.schemas import schedule_actions as actions
from scheduler_api.schemas import schedules as schemas
from scheduler_api.schemas import searches as search_schemas
from scheduler_api.schemas import tolls as toll_schemas
from scheduler_api.shown_schedules import summary, whole

blueprint = Blueprint(
    "schedules", __name__, url_prefix="/v1/schedules", description="Mail to send, its recipients, and its times."
)


def _further(asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    return schedule_bodies.further_faults(services().db, asked, good)


def _further_of_edit(asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    return schedule_bodies.further_faults_of_edit(services().db, asked, good)


@blueprint.post("")
@blueprint.doc(parameters=[KEY])
@requires("schedules", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(schedule_drafts.ScheduleIn, further=_further)
@blueprint.response(201, schemas.ScheduleOut)
@blueprint.alt_response(200, schema=schemas.ScheduleOut, description="The same request again")
@blueprint.alt_response(409, "CONFLICT")
def create(fields_: dict[str, Any]) -> Any:
    """Make a schedule. With an Idempotency-Key the same request again answers 200 with the same schedule."""
    key = given_key()
    draft = schedule_bodies.draft(services(), fields_)
    stored, new = create_schedule.create(services().db, draft, owner=principal().owner, key=key)
    location = url_for("schedules.show", schedule_id=stored.schedule.id)
    return (
        whole(services().db, stored),
        201 if new else 200,
        {"Location": location, "ETag": etag(stored.schedule.version)},
    )


@blueprint.get("")
@requires("read")
@blueprint.arguments(search_schemas.ScheduleSearchQuery, location="query")
@blueprint.response(200, search_schemas.SchedulePage)
def index(query: dict[str, Any]) -> Any:
    """Schedules, newest first or as `sort` says. Archived ones only with `status=archived`."""
    state = ScheduleState(query["status"]) if "status" in query else None
    search, order, limit = ScheduleSearch(query.get("name"), state), ScheduleOrder(query["sort"]), query["limit"]
    by_time = order not in (ScheduleOrder.NAME, ScheduleOrder.NAME_DOWN)
    after = paging.decode_place(query.get("cursor"), by_time=by_time)
    found = schedule_search.page(services().db, search, order, after=after, limit=limit)
    counted = schedule_search.count(services().db, search) if query.get("total") else None
    last = schedule_view.last_times(services().db, [one.id for one in found])

    def shown(one: Schedule) -> dict[str, Any]:
        return schemas.summary(one, last[one.id])

    page = paging.page_of(found, limit, shown, lambda one: schedule_search.place_of(one, order))
    return page | search_schemas.total(counted)


@blueprint.post("/preview")
@requires("read")
@blueprint.arguments(recurrences.PreviewIn)
@blueprint.response(200, actions.Occurrences)
def preview(asked: dict[str, Any]) -> Any:
    """The next due instants of a recurrence that is not stored."""
    found = schedule_view.preview(services().db, asked["recurrence"], asked["count"])
    zone = ZoneInfo(asked["recurrence"]["time_zone"])
    return {"items": [recurrences.occurrence(zone, due) for due in found]}


@blueprint.post("/<schedule_id>/duplicate")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("schedules")
@blueprint.response(201, schemas.ScheduleOut)
@blueprint.alt_response(200, schema=schemas.ScheduleOut, description="The same request again")
@blueprint.alt_response(409, "CONFLICT")
def duplicate(schedule_id: str) -> Any:
    """Copy a schedule with its newest content, audience and rule. The copy is paused: nothing of it is due before it is
    resumed."""
    key = needed_key()
    stored, new = duplicate_schedule.duplicate(services().db, ScheduleId(schedule_id), owner=principal().owner, key=key)
    headers = {"Location": url_for("schedules.show", schedule_id=stored.schedule.id)}
    headers["ETag"] = etag(stored.schedule.version)
    return whole(services().db, stored), 201 if new else 200, headers


@blueprint.get("/<schedule_id>")
@requires("read")
@blueprint.response(200, schemas.ScheduleOut)
def show(schedule_id: str) -> Any:
    """One schedule with its newest content. The ETag names its version."""
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    return whole(services().db, stored), 200, {"ETag": etag(stored.schedule.version)}


@blueprint.patch("/<schedule_id>")
@blueprint.doc(parameters=[SEEN])
@requires("schedules", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(schedule_edits.WholeScheduleEdit, further=_further_of_edit)
@blueprint.response(200, schemas.ScheduleOut)
def edit(changes: dict[str, Any], schedule_id: str) -> Any:
    """Change the named fields. With `If-Match` only if the schedule has not changed since. New content holds from now
    on.

    An unchanged field changes nothing, so a whole schedule, as GET gives it, is taken back. Null clears a field."""
    id_ = ScheduleId(schedule_id)
    edited = schedule_bodies.changes(services(), id_, changes)
    stored = edit_schedule.edit(services().db, id_, edited, seen_version=seen_version())
    return whole(services().db, stored), 200, {"ETag": etag(stored.schedule.version)}


@blueprint.delete("/<schedule_id>")
@blueprint.doc(parameters=[SEEN])
@requires("schedules")
@blueprint.response(204)
def delete(schedule_id: str) -> None:
    """Archive it, as `POST /archive` does, whose answer counts its mails."""
    schedule_pause.archive(services().db, services().brakes, ScheduleId(schedule_id), seen_version=seen_version())


@blueprint.post("/<schedule_id>/archive")
@blueprint.doc(parameters=[SEEN])
@requires("schedules")
@blueprint.response(200, actions.PausedSchedule)
def archive(schedule_id: str) -> Any:
    """Archive the schedule: it plans nothing any more, and mails that have not gone out are cancelled; its runs and
    reports stay. The answer says how many mails went, how many are cancelled, and which calls were under way and are
    finished."""
    return _braked(
        schedule_pause.archive(services().db, services().brakes, ScheduleId(schedule_id), seen_version=seen_version())
    )


@blueprint.post("/<schedule_id>/pause")
@blueprint.doc(parameters=[SEEN])
@requires("schedules")
@blueprint.response(200, actions.PausedSchedule)
def pause(schedule_id: str) -> Any:
    """Pause a schedule: until it is resumed no further instant runs, and nothing more of its open runs is sent. The
    answer says how many mails went, how many are held, and which calls were under way and go all the same."""
    by, seen = principal().name, seen_version()
    return _braked(
        schedule_pause.pause_schedule(
            services().db, services().brakes, ScheduleId(schedule_id), by=by, seen_version=seen
        )
    )


@blueprint.post("/<schedule_id>/resume")
@blueprint.doc(parameters=[SEEN])
@requires("schedules")
@blueprint.response(200, actions.PausedSchedule)
def resume(schedule_id: str) -> Any:
    """Go on from now, and with the runs that were paused with it; instants due during the pause are recorded as
    skipped. A run that was paused by itself stays paused."""
    by, seen = principal().name, seen_version()
    return _braked(
        schedule_pause.resume_schedule(
            services().db, services().brakes, ScheduleId(schedule_id), by=by, seen_version=seen
        )
    )


@blueprint.post("/<schedule_id>/restore")
@blueprint.doc(parameters=[SEEN])
@requires("schedules")
@blueprint.response(200, actions.PausedSchedule)
def restore(schedule_id: str) -> Any:
    """Take it out of the archive: it comes back paused. Instants due in the archive are recorded as skipped when it is
    resumed; cancelled runs stay cancelled. Restoring it again before that changes nothing; 409 `schedule_not_archived`
    for a schedule that is not archived."""
    by, seen = principal().name, seen_version()
    return _braked(
        schedule_restore.restore(services().db, services().brakes, ScheduleId(schedule_id), by=by, seen_version=seen)
    )


@blueprint.post("/<schedule_id>/skip-next")
@blueprint.doc(parameters=[SEEN])
@requires("schedules")
@blueprint.response(200, run_schemas.RunOut)
def skip_next(schedule_id: str) -> Any:
    """Record that the next due instant does not run; answers with that record."""
    _, record = schedule_lifecycle.skip_next(services().db, ScheduleId(schedule_id), seen_version=seen_version())
    return run_schemas.run(record)


@blueprint.post("/<schedule_id>/run-now")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("schedules")
@blueprint.arguments(actions.RunNowIn, required=False)
@blueprint.response(202, run_schemas.OneRunOut)
@blueprint.alt_response(200, schema=run_schemas.OneRunOut, description="The same request again")
def run_now(body: dict[str, Any], schedule_id: str) -> Any:
    """Make a run of the newest content now, beside the recurrence. The `Idempotency-Key` header is needed: the same key
    finds the same run. 409 `schedule_paused` for a paused schedule, unless `even_if_paused` is true. While all sending
    is stopped the run waits, and `waits_because` says so."""
    owner, key, even_if_paused = principal().owner, needed_key(), body.get("even_if_paused") is True
    run, new = asked_runs.run_now(
        services().db, ScheduleId(schedule_id), owner=owner, key=key, even_if_paused=even_if_paused
    )
    shown = run_schemas.one_run(run, sending_switch.why_stopped(services().db))
    return shown, 202 if new else 200, {"Location": url_for("runs.show", run_id=run.id)}


@blueprint.get("/<schedule_id>/next-runs")
@requires("read")
@blueprint.arguments(recurrences.CountQuery, location="query")
@blueprint.response(200, actions.Occurrences)
@blueprint.alt_response(409, "CONFLICT")
def next_runs(query: dict[str, Any], schedule_id: str) -> Any:
    """The next due instants, with a note where a clock change moves or doubles one."""
    schedule = schedule_view.get(services().db, ScheduleId(schedule_id)).schedule
    found = schedule_view.next_runs(services().db, schedule.id, query["count"])
    return {"items": [recurrences.occurrence(schedule.recurrence.zone, due) for due in found]}


@blueprint.get("/<schedule_id>/runs")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, search_schemas.RunPage)
def list_runs(query: dict[str, Any], schedule_id: str) -> Any:
    """Its runs and its recorded decisions not to run, latest first."""
    before, limit = paging.decode_time_and_id(query.get("cursor")), query["limit"]
    found = run_views.page(services().db, schedule_id=ScheduleId(schedule_id), before=before, limit=limit)
    return paging.page_of(found, limit, run_schemas.run, lambda run: [run.due_at, run.id])


def _braked(changed: tuple[Schedule, Toll]) -> Any:
    schedule, toll = changed
    return toll_schemas.with_toll(summary(services().db, schedule), toll), 200, {"ETag": etag(schedule.version)}
