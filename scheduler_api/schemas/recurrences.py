"""Recurrences in JSON, and the due instants that come of them."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_EXPRESSION, MAX_NEXT_RUNS
from mailroom.domain.recurrence.model import Kind, Occurrence, Recurrence
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.instants import MomentField

_MOMENT_DOC: Final = {"type": "string", "description": "ISO 8601; without an offset local to the time zone"}


class RecurrenceIn(RequestBody):
    kind = fields.String(required=True, validate=validate.OneOf(list(Kind)))
    expression = fields.String(allow_none=True, validate=validate.Length(max=MAX_EXPRESSION))
    at = MomentField(allow_none=True, metadata=_MOMENT_DOC)
    seconds = fields.Integer(strict=True, allow_none=True)
    time_zone = fields.String(load_default="UTC", validate=validate.Length(max=64))
    starts_at = MomentField(allow_none=True, metadata=_MOMENT_DOC)
    ends_at = MomentField(allow_none=True, metadata=_MOMENT_DOC)
    max_runs = fields.Integer(strict=True, allow_none=True)


class PreviewIn(RequestBody):
    recurrence = fields.Nested(RecurrenceIn, required=True)
    count = fields.Integer(strict=True, load_default=5, validate=validate.Range(1, MAX_NEXT_RUNS))


class CountQuery(Schema):
    count = fields.Integer(load_default=10, validate=validate.Range(1, MAX_NEXT_RUNS))


class OccurrenceOut(Schema):
    at = fields.String()
    at_utc = fields.String()
    note = fields.String(allow_none=True)


def recurrence_out(rule: Recurrence) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": rule.kind, "time_zone": rule.time_zone}
    match rule.kind:
        case Kind.ONCE:
            shown["at"] = rule.at.isoformat() if rule.at else None
        case Kind.EVERY:
            shown["seconds"] = rule.seconds
        case Kind.CRON | Kind.RRULE:
            shown["expression"] = rule.expression
    for name in ("starts_at", "ends_at"):
        moment = getattr(rule, name)
        shown[name] = moment.astimezone(rule.zone).isoformat() if moment else None
    return shown | {"max_runs": rule.max_runs}


def occurrence(rule_zone: Any, due: Occurrence) -> dict[str, Any]:
    return {
        "at": due.at.astimezone(rule_zone).isoformat(),
        "at_utc": due.at.isoformat().replace("+00:00", "Z"),
        "note": due.note,
    }
