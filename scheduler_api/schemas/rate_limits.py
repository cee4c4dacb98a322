"""Rate limits in JSON."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_RATE, MAX_WARM_UP_DAYS
from mailroom.domain.rates import Per
from mailroom.services.operations.rate_limits import ShownLimit
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.instants import iso


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


def limit(one: ShownLimit) -> dict[str, Any]:
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
