"""Segments in JSON."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_FILTER, MAX_NAME, MAX_TOPIC_ID
from mailroom.domain.segments.model import Segment
from mailroom.services.audiences.counting import MOST_LOOKED_AT, Numbers
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import PageOut

_FILTER_DOC: Final = {"description": 'such as: city = "Rome" and not opened in last 3 runs'}


def _filter() -> fields.String:
    return fields.String(required=True, validate=validate.Length(min=1, max=MAX_FILTER), metadata=_FILTER_DOC)


class SegmentIn(RequestBody):
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    filter = _filter()


class CountIn(RequestBody):
    audience = fields.String(required=True, validate=validate.Length(min=1, max=64))
    filter = _filter()
    topic = fields.String(
        validate=validate.Length(min=1, max=MAX_TOPIC_ID),
        metadata={"description": "the topic of the schedule: who has left it counts as suppressed"},
    )


class CountOut(Schema):
    count = fields.Integer(metadata={"description": "those that are suppressed are among them"})
    suppressed = fields.Integer()
    exact = fields.Boolean(metadata={"description": f"false for an estimate, from {MOST_LOOKED_AT:,} contacts"})


class SegmentOut(Schema):
    id = fields.String()
    audience = fields.String()
    name = fields.String()
    filter = fields.String()
    created_at = fields.String()


class SegmentPage(PageOut):
    items = fields.List(fields.Nested(SegmentOut))


def numbers(counted: Numbers) -> dict[str, Any]:
    return {"count": counted.found, "suppressed": counted.suppressed, "exact": counted.exact}


def segment(stored: Segment) -> dict[str, Any]:
    return {
        "id": stored.id,
        "audience": stored.audience,
        "name": stored.name,
        "filter": stored.filter,
        "created_at": stored.created_at.isoformat(),
    }
