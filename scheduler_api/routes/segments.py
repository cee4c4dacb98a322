"""`/v1/audiences/{id}/segments`, `/v1/segments`: filters over the contacts of an audience."""

from datetime import timedelta
from typing import Any

from flask import url_for

from mailroom.domain.ids import AudienceId
from mailroom.services.audiences import counting, segments
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import segments as schemas

blueprint = Blueprint("segments", __name__, url_prefix="/v1", description="Filters over the contacts of an audience.")


@blueprint.post("/audiences/<audience_id>/segments")
@requires("schedules")
@blueprint.arguments(schemas.SegmentIn)
@blueprint.response(201, schemas.SegmentOut)
def create(body: dict[str, Any], audience_id: str) -> Any:
    """Save a segment. It never changes; whom its filter finds is looked up anew at each run."""
    made = segments.create(
        services().db,
        AudienceId(audience_id),
        name=body["name"],
        filter_=body["filter"],
        by=principal().name,
        events_kept=_events_kept(),
    )
    return schemas.segment(made), 201, {"Location": url_for("segments.show", segment_id=made.id)}


@blueprint.get("/audiences/<audience_id>/segments")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, schemas.SegmentPage)
def index(query: dict[str, Any], audience_id: str) -> Any:
    """The segments of an audience."""
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = segments.page(services().db, AudienceId(audience_id), after=after, limit=limit)
    return paging.page_of(found, limit, schemas.segment, lambda one: [one.id])


@blueprint.post("/segments/count")
@requires("read")
@blueprint.arguments(schemas.CountIn)
@blueprint.response(200, schemas.CountOut)
@blueprint.alt_response(404, "NOT_FOUND")
def count(body: dict[str, Any]) -> Any:
    """How many contacts a filter finds now, before it is saved."""
    services().limits.check_report(principal())
    audience = AudienceId(body["audience"])
    choice = segments.unsaved(services().db, audience, body["filter"], events_kept=_events_kept())
    return schemas.numbers(counting.count(services().db, [choice], topic=body.get("topic", "")))


@blueprint.get("/segments/<segment_id>")
@requires("read")
@blueprint.response(200, schemas.SegmentOut)
def show(segment_id: str) -> Any:
    """A segment."""
    return schemas.segment(segments.get(services().db, segment_id))


@blueprint.delete("/segments/<segment_id>")
@requires("schedules")
@blueprint.response(204)
def delete(segment_id: str) -> None:
    """Delete a segment: no schedule can name it any more. Schedules that go to it still do."""
    segments.drop(services().db, segment_id, by=principal().name)


def _events_kept() -> timedelta:
    return services().settings.retention.events
