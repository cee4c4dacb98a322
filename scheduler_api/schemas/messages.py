"""Mails to one recipient in JSON, with their timelines."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.messages.states import MessageState
from mailroom.services.reports.timeline import Story, TimelineStep
from scheduler_api.paging import ListQuery
from scheduler_api.schemas.instants import iso


class MessageOut(Schema):
    id = fields.String()
    address = fields.String()
    name = fields.String()
    status = fields.String()
    code = fields.Integer(allow_none=True)
    reason = fields.String(allow_none=True)
    dispatch_id = fields.String(allow_none=True)
    sent_at = fields.String(allow_none=True)
    delivered_at = fields.String(allow_none=True)
    first_opened_at = fields.String(allow_none=True)
    opens = fields.Integer()
    clicks = fields.Integer()


class StepOut(Schema):
    at = fields.String()
    what = fields.String()
    dispatch_id = fields.String(allow_none=True)
    details = fields.Dict()


class StoryOut(MessageOut):
    worker = fields.String(
        allow_none=True, metadata={"description": "the sender that has it, or had it last; its id in /v1/workers"}
    )
    steps = fields.List(fields.Nested(StepOut))


class MessageQuery(ListQuery):
    status = fields.String(validate=validate.OneOf(list(MessageState)))


def message(stored: StoredMessage) -> dict[str, Any]:
    return {
        "id": stored.id,
        "address": stored.address,
        "name": stored.name,
        "status": stored.state,
        "code": stored.code,
        "reason": stored.reason,
        "dispatch_id": stored.dispatch_id,
        "sent_at": iso(stored.sent_at),
        "delivered_at": iso(stored.delivered_at),
        "first_opened_at": iso(stored.first_opened_at),
        "opens": stored.opens,
        "clicks": stored.clicks,
    }


def story(whole: Story) -> dict[str, Any]:
    return message(whole.message) | {"worker": whole.worker, "steps": [step(one) for one in whole.steps]}


def step(entry: TimelineStep) -> dict[str, Any]:
    return {"at": iso(entry.at), "what": entry.what, "dispatch_id": entry.dispatch, "details": dict(entry.details)}
