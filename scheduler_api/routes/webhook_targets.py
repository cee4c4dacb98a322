"""`/v1/webhook-targets`: our URL pushed to a provider as the target of its webhooks, and tried."""

import time
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.assembly import build_target
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.services.feedback import webhook_targets
from mailroom.services.feedback.webhook_targets import LONGEST_WAIT_S
from scheduler_api.arguments import Blueprint, RequestBody
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas.runs import iso

blueprint = Blueprint(
    "webhook_targets", __name__, url_prefix="/v1/webhook-targets", description="Where providers send their webhooks."
)


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


class TargetOut(Schema):
    provider = fields.String()
    url = fields.String(allow_none=True)
    pushed_at = fields.String(allow_none=True)
    pushed_by = fields.String(allow_none=True)
    arrived_at = fields.String(allow_none=True, metadata={"description": "when a verified webhook came last"})


class Targets(Schema):
    items = fields.List(fields.Nested(TargetOut))


@blueprint.get("")
@requires("read")
@blueprint.response(200, Targets)
def index() -> Any:
    """What was pushed by us, and when webhooks came last."""
    found = webhook_targets.listing(services().db)
    return {"items": [_shown(name, found.get(name, {})) for name in services().settings.sending.providers]}


@blueprint.post("")
@requires("admin")
@blueprint.arguments(TargetIn)
@blueprint.response(200, PushedOut)
def push(body: dict[str, Any]) -> Any:
    """Make `url`/webhooks/{provider} a target of its webhooks, and wait for a test event to arrive there."""
    settings, name = services().settings, body["provider"]
    try:
        target = build_target(settings, name)
    except LookupError as error:
        raise InvalidInput(Fault("provider", str(error))) from None
    base = body.get("url") or settings.web.public_url
    pushed = webhook_targets.push(
        services().db, target, name, base, by=principal().name, wait_s=body["wait_s"], sleep=time.sleep
    )
    after_s = pushed.arrived_after_s
    return {"provider": name, "url": pushed.url, "arrived": after_s is not None, "arrived_after_s": after_s}


def _shown(name: str, doc: Any) -> dict[str, Any]:
    times = {field: iso(doc.get(field)) for field in ("pushed_at", "arrived_at")}
    return {"provider": name, "url": doc.get("url"), "pushed_by": doc.get("pushed_by"), **times}
