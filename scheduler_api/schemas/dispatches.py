"""Dispatches in JSON."""

from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.services.reports.runs import DispatchView
from scheduler_api.paging import ListQuery
from scheduler_api.schemas.instants import iso


class DispatchOut(Schema):
    id = fields.String()
    run_id = fields.String()
    lane = fields.String()
    state = fields.String()
    token = fields.Integer(allow_none=True)
    attempt = fields.Integer()
    tries = fields.Integer()
    provider = fields.String(allow_none=True)
    messages = fields.Integer()
    sender = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    code = fields.Integer(allow_none=True)
    not_before = fields.String(allow_none=True)
    parent = fields.String(allow_none=True)
    elsewhere = fields.String(
        allow_none=True, metadata={"description": "the dispatch that carries its mail on, while this one is in doubt"}
    )
    elsewhere_of = fields.String(
        allow_none=True, metadata={"description": "the dispatch whose mail this one carries on"}
    )
    children = fields.List(fields.String())
    message_id = fields.String(allow_none=True)
    reported = fields.Dict(
        metadata={"description": "mails of it that the provider's events report as `sent` and `delivered`"}
    )
    provider_ids = fields.List(fields.String())
    trail = fields.List(fields.Dict())


class DispatchQuery(ListQuery):
    state = fields.String(validate=validate.OneOf(list(DispatchState)))
    run_id = fields.String(validate=validate.Length(max=200))


def dispatch(stored: Dispatch) -> dict[str, Any]:
    """One of a list: without its trail."""
    return {
        "id": stored.id,
        "run_id": stored.run_id,
        "lane": stored.lane,
        "state": stored.state,
        "token": stored.claim.token if stored.claim else None,
        "attempt": stored.attempt,
        "tries": stored.tries,
        "provider": stored.provider,
        "messages": stored.messages,
        "sender": stored.claim.sender if stored.claim else None,
        "reason": stored.reason,
        "code": stored.code,
        "not_before": iso(stored.not_before),
        "parent": stored.parent,
        "elsewhere": stored.elsewhere,
        "elsewhere_of": stored.elsewhere_of,
        "children": list(stored.children),
        "provider_ids": [fact.provider_id for fact in stored.accepted if fact.provider_id],
    }


def whole_dispatch(view: DispatchView) -> dict[str, Any]:
    return dispatch(view.dispatch) | {
        "message_id": view.message_id,
        "reported": asdict(view.reported),
        "trail": [{"at": iso(taken.at), "step": taken.step, **taken.facts} for taken in view.dispatch.trail],
    }
