"""`/v1/runs`: what was sent, and how it went, down to the story of one mail."""

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields

from mailroom.domain.ids import MessageId, RunId
from mailroom.domain.messages import MessageState
from mailroom.services import reporting, running, stories
from scheduler_api import paging
from scheduler_api.auth import front, requires
from scheduler_api.schemas import runs as schemas

blueprint = Blueprint("runs", __name__, url_prefix="/v1/runs", description="One schedule at one due instant.")


class MessagePage(Schema):
    items = fields.List(fields.Nested(schemas.MessageOut))
    next_cursor = fields.String(allow_none=True)


@blueprint.get("/<run_id>")
@requires("read")
@blueprint.response(200, schemas.RunOut)
def show(run_id: str) -> Any:
    """One run."""
    return schemas.run(running.get(front().db, RunId(run_id)))


@blueprint.get("/<run_id>/report")
@requires("read")
@blueprint.response(200, schemas.ReportOut)
def report(run_id: str) -> Any:
    """Its counts at this moment; they equal a recount of the raw events."""
    return schemas.report(reporting.run_report(front().db, RunId(run_id))[1])


@blueprint.get("/<run_id>/messages")
@requires("read")
@blueprint.arguments(schemas.MessageQuery, location="query")
@blueprint.response(200, MessagePage)
def messages(query: dict[str, Any], run_id: str) -> Any:
    """Its mails, one per recipient."""
    state = MessageState(query["status"]) if "status" in query else None
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = running.messages_of(front().db, RunId(run_id), state=state, after=after, limit=limit)
    more = paging.encode(found[-1]["_id"]) if len(found) == limit else None
    return {"items": [schemas.message(doc) for doc in found], "next_cursor": more}


@blueprint.get("/<run_id>/messages/<digest>")
@requires("read")
@blueprint.response(200, schemas.StoryOut)
def story(run_id: str, digest: str) -> Any:
    """One mail: every step of the calls that carried it, and every event that the provider told."""
    return schemas.story(stories.story_of(front().db, MessageId(f"{run_id}/{digest}")))


@blueprint.post("/<run_id>/cancel")
@requires("schedules")
@blueprint.response(200, schemas.RunOut)
def cancel(run_id: str) -> Any:
    """Send nothing more of it. What is in hand at this moment is finished."""
    return schemas.run(running.cancel(front().db, RunId(run_id)))
