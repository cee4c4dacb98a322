"""`/v1/rate-limits`: how fast mail may go, by provider and by recipients' domain."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_RATE, MAX_WARM_UP_DAYS
from mailroom.domain.rates import LimitKind, Per
from mailroom.services.operations import rate_limits
from mailroom.services.operations.rate_limits import ShownLimit
from scheduler_api.arguments import Blueprint, RequestBody
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas.runs import iso

blueprint = Blueprint("rate_limits", __name__, url_prefix="/v1/rate-limits", description="How fast mail may go.")
_KIND = f"<any({','.join(LimitKind)}):kind>"


class LimitIn(RequestBody):
    mails = fields.Integer(strict=True, required=True, validate=validate.Range(1, MAX_RATE))
    per = fields.String(required=True, validate=validate.OneOf(list(Per)))
    warm_up = fields.List(
        fields.Integer(strict=True, validate=validate.Range(1, MAX_RATE)),
        validate=validate.Length(max=MAX_WARM_UP_DAYS),
        metadata={"description": "mails in the same span for the first day, the second, and so on; then `mails`"},
    )


class LimitOut(Schema):
    kind = fields.String()
    name = fields.String()
    mails = fields.Integer()
    per = fields.String()
    warm_up = fields.List(fields.Integer())
    began_at = fields.String()
    mails_now = fields.Integer(metadata={"description": "by today's step of the warm-up"})
    factor = fields.Float(allow_none=True, metadata={"description": "below 1 where the provider found us too fast"})
    paused_until = fields.String(allow_none=True)


class Limits(Schema):
    items = fields.List(fields.Nested(LimitOut))


@blueprint.get("")
@requires("read")
@blueprint.response(200, Limits)
def index() -> Any:
    """Every limit with what of it is in force. Senders share them."""
    return {"items": [_shown(one) for one in rate_limits.listing(services().db, services().rates)]}


@blueprint.put(f"/{_KIND}/<name>")
@requires("admin")
@blueprint.arguments(LimitIn)
@blueprint.response(200, LimitOut)
def put(body: dict[str, Any], kind: str, name: str) -> Any:
    """Set a limit: mails in a span, a tenth of which may go at once. Senders follow within seconds.

    What is held back waits and is lost never; mails of high priority pay, and are not held back. A warm-up that stays
    as it is goes on. `429` of the provider halves the rate; it comes back, doubled each minute.
    """
    configured = services().settings.sending.providers
    return _shown(rate_limits.put(services().db, services().rates, configured, kind, name, body, by=principal().name))


@blueprint.delete(f"/{_KIND}/<name>")
@requires("admin")
@blueprint.response(204)
def remove(kind: str, name: str) -> None:
    """Remove a limit."""
    rate_limits.remove(services().db, services().rates, kind, name, by=principal().name)


def _shown(one: ShownLimit) -> dict[str, Any]:
    limit, level = one.limit, one.level
    return {
        "kind": limit.kind,
        "name": limit.name,
        "mails": limit.mails,
        "per": limit.per,
        "warm_up": list(limit.warm_up),
        "began_at": iso(limit.began_at),
        "mails_now": one.mails_now,
        "factor": level.factor if level else None,
        "paused_until": iso(level.paused_until) if level else None,
    }
