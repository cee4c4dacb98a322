"""Targets of webhooks in JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.services.feedback.webhook_targets import LONGEST_WAIT_S, Pushed
from mailroom.storage.webhook_targets import NOT_PUSHED, WebhookTarget
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.instants import iso


class TargetIn(RequestBody):
    provider = fields.String(required=True, validate=validate.Length(max=50))
    url = fields.String(
        validate=validate.Length(max=1_000),
        metadata={"description": "MAILROOM_PUBLIC_URL, if it is not given; a tunnel's URL, for instance"},
    )
    wait_s = fields.Integer(strict=True, load_default=30, validate=validate.Range(0, LONGEST_WAIT_S))


class PushedOut(Schema):
    provider = fields.String()
    url = fields.String()
    arrived = fields.Boolean(metadata={"description": "whether a test event came within the time"})
    arrived_after_s = fields.Float(allow_none=True)
    has_test_event = fields.Boolean(
        metadata={"description": "false if this provider has none: the next mail's events show whether they arrive"}
    )


class TargetOut(Schema):
    provider = fields.String()
    url = fields.String(allow_none=True)
    pushed_at = fields.String(allow_none=True)
    pushed_by = fields.String(allow_none=True)
    arrived_at = fields.String(allow_none=True, metadata={"description": "when a verified webhook came last"})


class Targets(Schema):
    items = fields.List(fields.Nested(TargetOut))


def target(name: str, target: WebhookTarget) -> dict[str, Any]:
    times = {"pushed_at": iso(target.pushed_at), "arrived_at": iso(target.arrived_at)}
    return {"provider": name, "url": target.url, "pushed_by": target.pushed_by, **times}


def listing(found: Mapping[str, WebhookTarget], configured: Sequence[str]) -> dict[str, Any]:
    return {"items": [target(name, found.get(name, NOT_PUSHED)) for name in configured]}


def pushed(done: Pushed) -> dict[str, Any]:
    after_s = done.arrived_after_s
    times = {"arrived": after_s is not None, "arrived_after_s": after_s}
    return {"provider": done.provider, "url": done.url, "has_test_event": done.asked, **times}
