"""`/v1/runs` and `/v1/dispatches`: what was sent, how it went, and what is in doubt."""

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields

from mailroom.domain.dispatches import DispatchState
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.messages import MessageState
from mailroom.services import reporting, running
from scheduler_api import paging
from scheduler_api.auth import front, requires
from scheduler_api.schemas import runs as schemas

blueprint = Blueprint("runs", __name__, url_prefix="/v1/runs", description="One schedule at one due instant.")
dispatches = Blueprint("dispatches", __name__, url_prefix="/v1/dispatches", description="One call to a provider each.")


class MessagePage(Schema):
    items = fields.List(fields.Nested(schemas.MessageOut))
    next_cursor = fields.String(allow_none=True)


class DispatchPage(Schema):
    items = fields.List(fields.Nested(schemas.DispatchOut))
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


@blueprint.post("/<run_id>/cancel")
@requires("schedules")
@blueprint.response(200, schemas.RunOut)
def cancel(run_id: str) -> Any:
    """Send nothing more of it. What is in hand at this moment is finished."""
    return schemas.run(running.cancel(front().db, RunId(run_id)))


@dispatches.get("")
@requires("read")
@dispatches.arguments(schemas.DispatchQuery, location="query")
@dispatches.response(200, DispatchPage)
def list_dispatches(query: dict[str, Any]) -> Any:
    """Dispatches in a state, such as `state=in_doubt`."""
    state = DispatchState(query["state"]) if "state" in query else None
    run_id = RunId(query["run_id"]) if "run_id" in query else None
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = running.dispatches_of(front().db, state=state, run_id=run_id, after=after, limit=limit)
    more = paging.encode(found[-1]["_id"]) if len(found) == limit else None
    return {"items": [schemas.dispatch(doc) for doc in found], "next_cursor": more}


@dispatches.get("/<dispatch_id>")
@requires("read")
@dispatches.response(200, schemas.DispatchOut)
def show_dispatch(dispatch_id: str) -> Any:
    """One dispatch with its audit trail."""
    return schemas.dispatch(running.dispatch(front().db, DispatchId(dispatch_id)))
