"""Tokens in JSON."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_NAME, MAX_RATE
from mailroom.domain.principals import SCOPES
from mailroom.services.operations.tokens import MAX_OVERLAP_S, OVERLAP, KnownToken
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.instants import MomentField


class TokenIn(RequestBody):
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    scopes = fields.List(
        fields.String(validate=validate.OneOf(list(SCOPES))), required=True, validate=validate.Length(min=1)
    )
    expires_at = MomentField(
        allow_none=True, metadata={"type": "string", "description": "ISO 8601 with an offset; never where left out"}
    )
    requests_per_minute = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, MAX_RATE),
        metadata={"description": "instead of MAILROOM_REQUESTS_PER_MINUTE"},
    )
    mails_per_day = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, MAX_RATE),
        metadata={"description": "single mails a day (UTC), instead of MAILROOM_MAILS_PER_DAY"},
    )


class RotateIn(RequestBody):
    overlap_s = fields.Integer(
        strict=True,
        validate=validate.Range(0, MAX_OVERLAP_S),
        metadata={
            "description": "seconds for which the old token is let in beside the new one; 0 ends it at once. "
            f"{int(OVERLAP.total_seconds())} if left out"
        },
    )


class TokenOut(Schema):
    id = fields.String()
    name = fields.String()
    owner = fields.String(metadata={"description": "stays the same when a token is rotated"})
    scopes = fields.List(fields.String())
    created_at = fields.String()
    expires_at = fields.String(allow_none=True)
    revoked_at = fields.String(allow_none=True)
    last_used_at = fields.String(allow_none=True)
    rotated_to = fields.String(allow_none=True)
    requests_per_minute = fields.Integer(allow_none=True)
    mails_per_day = fields.Integer(allow_none=True)


class NewToken(TokenOut):
    token = fields.String(metadata={"description": "shown now and never again"})


class Presented(TokenOut):
    valid = fields.Boolean()
    tokens = fields.List(fields.Nested(TokenOut), metadata={"description": "all of them, for scope admin"})


def token(known: KnownToken) -> dict[str, Any]:
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    shown_times = {name: moment.isoformat() if (moment := getattr(known, name)) else None for name in times}
    plain = ("id", "name", "owner", "rotated_to", "requests_per_minute", "mails_per_day")
    return {**{name: getattr(known, name) for name in plain}, "scopes": sorted(known.scopes), **shown_times}
