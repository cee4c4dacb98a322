"""`/v1/runs`: runs, their reports and their mails, down to the story of one mail."""

from typing import Any

from flask import url_for

from mailroom.domain.ids import MessageId, RunId, ScheduleId
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import RunState
from mailroom.domain.searches import RunOrder, RunSearch
from mailroom.services.common import sending_switch
from mailroom.services.reports import run_search, sent_mails, timeline
from mailroom.services.reports import runs as run_views
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import pause as schedule_pause
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.headers import KEY_NEEDED, needed_key
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import feeds as feed_schemas
from scheduler_api.schemas import messages as message_schemas
from scheduler_api.schemas import reports as report_schemas
from scheduler_api.schemas import resends
from scheduler_api.schemas import runs as schemas
from scheduler_api.schemas import searches as search_schemas
from scheduler_api.schemas import sent_mails as sent_schemas
from scheduler_api.schemas import tolls as toll_schemas

blueprint = Blueprint("runs", __name__, url_prefix="/v1/runs", description="One schedule at one due instant.")


@blueprint.get("")
@requires("read")
@blueprint.arguments(search_schemas.RunSearchQuery, location="query")
@blueprint.response(200, search_schemas.ListedRunPage)
def index(query: dict[str, Any]) -> Any:
    """Runs and recorded decisions not to run, of all schedules, latest due instant first or as `sort` says."""
    search = RunSearch(
        schedule=query.get("schedule"),
        schedule_id=ScheduleId(query["schedule_id"]) if "schedule_id" in query else None,
        state=RunState(query["status"]) if "status" in query else None,
        since=query.get("since"),
        until=query.get("until"),
    )
    order, limit = RunOrder(query["sort"]), query["limit"]
    after = paging.decode_time_and_id(query.get("cursor"))
    found = run_search.page(services().db, search, order, after=after, limit=limit)
    counted = run_search.count(services().db, search) if query.get("total") else None
    page = paging.page_of(found, limit, search_schemas.listed_run, run_search.place_of)
    return page | search_schemas.total(counted)


@blueprint.get("/<run_id>")
@requires("read")
@blueprint.response(200, schemas.WholeRunOut)
def show(run_id: str) -> Any:
    """One run."""
    run = run_views.get(services().db, RunId(run_id))
    slices, why_stopped = run_views.slices_of(services().db, run), sending_switch.why_stopped(services().db)
    return schemas.whole_run(run, slices, why_stopped)


@blueprint.get("/<run_id>/report")
@requires("read")
@blueprint.response(200, report_schemas.ReportOut)
def report(run_id: str) -> Any:
    """Its counts at this moment; they equal a recount of the raw events."""
    services().limits.check_report(principal())
    return report_schemas.report(services().reports.get(RunId(run_id))[1])


@blueprint.get("/<run_id>/feed")
@requires("read")
@blueprint.response(200, feed_schemas.RunFeedOut)
def feed(run_id: str) -> Any:
    """The feed that the run has kept, or why it has none yet. 404 for a run whose content has no feed."""
    return feed_schemas.run_feed(run_views.get_feed(services().db, RunId(run_id)))


@blueprint.get("/<run_id>/messages")
@requires("read")
@blueprint.arguments(message_schemas.MessageQuery, location="query")
@blueprint.response(200, search_schemas.MessagePage)
def messages(query: dict[str, Any], run_id: str) -> Any:
    """Its mails, one per recipient."""
    state = MessageState(query["status"]) if "status" in query else None
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = run_views.messages_of(services().db, RunId(run_id), state=state, after=after, limit=limit)
    return paging.page_of(found, limit, message_schemas.message, paging.by_id)


@blueprint.get("/<run_id>/messages/<digest>")
@requires("read")
@blueprint.response(200, message_schemas.StoryOut)
def story(run_id: str, digest: str) -> Any:
    """One mail: every step of the calls that carried it, and every event of the provider."""
    return message_schemas.story(timeline.story_of(services().db, MessageId(f"{run_id}/{digest}")))


@blueprint.get("/<run_id>/messages/<digest>/content")
@requires("read")
@blueprint.response(200, sent_schemas.MessageContentOut)
def content(run_id: str, digest: str) -> Any:
    """What the run sent to this recipient, as it was rendered then; the link to unsubscribe is an example. 404 where
    nothing is sent: the recipient is suppressed, or lacks a value."""
    message = MessageId(f"{run_id}/{digest}")
    return sent_schemas.message_content(
        sent_mails.content_of_message(services().db, message, link=services().links.example)
    )


@blueprint.get("/<run_id>/unreached")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, resends.Unreached)
def unreached(query: dict[str, Any], run_id: str) -> Any:
    """The recipients that the run did not reach: refused for good, bounced, rejected, cancelled. Mails in doubt or
    unknown are not among them."""
    services().limits.check_report(principal())
    (after, left), limit = paging.decode_id_and_count(query.get("cursor")), query["limit"]
    found = resend_runs.unreached_by(services().db, RunId(run_id), after=after, limit=limit, left=left)
    page = paging.page_of(found.messages, limit, resends.missed, lambda message: [message.id, found.left])
    return {"left": found.left, **page}


@blueprint.post("/<run_id>/send-again")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("schedules")
@blueprint.arguments(resends.AgainIn, required=False)
@blueprint.response(202, schemas.OneRunOut)
@blueprint.alt_response(200, schema=schemas.OneRunOut, description="The same request again")
def send_again(body: dict[str, Any], run_id: str) -> Any:
    """Make a run to exactly the recipients that this one did not reach and no other run carries. With the same
    `Idempotency-Key` it is the same run; asked for twice, nobody is mailed twice."""
    newest = body.get("content") == "newest"
    key = needed_key()
    run, new = resend_runs.run_again(
        services().db,
        RunId(run_id),
        owner=principal().owner,
        key=key,
        batch_size=services().settings.sending.batch_size,
        newest=newest,
        even_if_paused=body.get("even_if_paused") is True,
    )
    shown = schemas.one_run(run, sending_switch.why_stopped(services().db))
    return shown, 202 if new else 200, {"Location": url_for("runs.show", run_id=run.id)}


@blueprint.post("/<run_id>/pause")
@requires("schedules")
@blueprint.response(200, toll_schemas.PausedRunOut)
def pause(run_id: str) -> Any:
    """Send nothing more of a run until it is resumed. The answer says how many mails went, how many are held, and which
    calls were under way and go all the same."""
    by = principal().name
    run, toll = schedule_pause.pause_run(services().db, services().brakes, RunId(run_id), by=by)
    return toll_schemas.with_toll(schemas.run(run), toll)


@blueprint.post("/<run_id>/resume")
@requires("schedules")
@blueprint.response(200, toll_schemas.PausedRunOut)
def resume(run_id: str) -> Any:
    """Go on with a paused run."""
    by = principal().name
    run, toll = schedule_pause.resume_run(services().db, services().brakes, RunId(run_id), by=by)
    return toll_schemas.with_toll(schemas.run(run), toll)


@blueprint.post("/<run_id>/cancel")
@requires("schedules")
@blueprint.response(200, toll_schemas.PausedRunOut)
def cancel(run_id: str) -> Any:
    """Send nothing more of a run, for good. The answer says how many mails went, how many are cancelled, and which
    calls were under way and are finished."""
    run, toll = schedule_pause.cancel_run(services().db, services().brakes, RunId(run_id))
    return toll_schemas.with_toll(schemas.run(run), toll)
