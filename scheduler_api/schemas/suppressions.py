"""Suppressions in JSON."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_TOPIC_ID
from mailroom.domain.suppressions import MAX_REASON, Suppression
from mailroom.services.feedback.mailgun_lists import MOST_CURSOR
from mailroom.services.feedback.suppressions import MOST_ROWS
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import ListQuery, PageOut


def _address(**more: Any) -> fields.String:
    return fields.String(validate=validate.Length(min=1, max=320), **more)


def _scope(**more: Any) -> fields.String:
    words = "all, campaigns or a topic; if left out, of every scope"
    return fields.String(validate=validate.Length(min=1, max=MAX_TOPIC_ID), metadata={"description": words}, **more)


class SuppressionIn(RequestBody):
    address = _address(required=True)
    reason = fields.String(
        allow_none=True, validate=validate.Length(max=MAX_REASON), metadata={"description": "manual if left out"}
    )
    scope = fields.String(
        allow_none=True,
        validate=validate.Length(max=MAX_TOPIC_ID),
        metadata={
            "description": "all, campaigns or a topic; if left out: campaigns for complained and unsubscribed, else all"
        },
    )


class ScopeOut(Schema):
    scope = fields.String()
    reason = fields.String()
    since = fields.String()
    note = fields.String(metadata={"description": "such as: one of 3 named"})


class SuppressionOut(Schema):
    address = fields.String()
    reason = fields.String(metadata={"description": "of the widest scope"})
    since = fields.String(metadata={"description": "of the newest"})
    scopes = fields.List(fields.Nested(ScopeOut))


class SuppressionPage(PageOut):
    items = fields.List(fields.Nested(SuppressionOut))


class SuppressionQuery(ListQuery):
    address = _address()


class ScopeQuery(Schema):
    scope = _scope()


class RemovalIn(RequestBody):
    addresses = fields.List(_address(), required=True, validate=validate.Length(min=1, max=MOST_ROWS))
    scope = _scope(allow_none=True)


class TakeOverIn(RequestBody):
    cursor = fields.String(
        allow_none=True,
        validate=validate.Length(max=MOST_CURSOR + len("unsubscribes:")),
        metadata={"description": "`next_cursor` of the call before; if left out: from the beginning"},
    )


class TakenOverOut(Schema):
    added = fields.Integer()
    unchanged = fields.Integer()
    left_out = fields.Integer(
        metadata={
            "description": "records that suppress nothing here: bounces that blame something else than the address, "
            "unsubscribes from tags that are no topics"
        }
    )
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: all lists are through"})


class RemovedOut(Schema):
    removed = fields.Integer()
    not_found = fields.List(fields.String())


class RefusedRowOut(Schema):
    row = fields.Integer(metadata={"description": "the line of the file, from 1"})
    address = fields.String()
    message = fields.String()


class ImportedOut(Schema):
    added = fields.Integer()
    unchanged = fields.Integer()
    refused_count = fields.Integer()
    refused = fields.List(fields.Nested(RefusedRowOut), metadata={"description": "the first thousand"})


def shown(one: Suppression) -> dict[str, Any]:
    scopes = [
        {"scope": entry.scope, "reason": entry.reason, "since": entry.since.isoformat()}
        | ({"note": entry.note} if entry.note else {})
        for entry in one.entries
    ]
    return {"address": one.address, "reason": one.reason, "since": one.since.isoformat(), "scopes": scopes}
