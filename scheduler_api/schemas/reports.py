"""The counts of a run or a schedule in JSON."""

from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields

from mailroom.domain.reports import Report


class ReportOut(Schema):
    recipients = fields.Integer()
    queued = fields.Integer()
    sent = fields.Integer()
    delivered = fields.Integer()
    deferred = fields.Integer()
    unique_opens = fields.Integer()
    total_opens = fields.Integer()
    machine_opens = fields.Integer()
    open_rate = fields.Float(allow_none=True)
    unique_clicks = fields.Integer()
    bounced = fields.Integer(allow_none=True, metadata={"description": "null: not measured (mails by SMTP)"})
    bounces_unmeasured = fields.Integer(
        metadata={"description": "mails by SMTP whose bounces come to no mailbox that is read: not measured, and not 0"}
    )
    complained = fields.Integer()
    unsubscribed = fields.Integer()
    rejected = fields.Integer()
    failed = fields.Integer()
    suppressed = fields.Integer()
    cancelled = fields.Integer()
    in_doubt = fields.Integer()
    unknown = fields.Integer()  # type: ignore[assignment]  # marshmallow takes it for a field, as it should
    time_passed = fields.Integer(
        metadata={"description": "of those cancelled: skipped, the time had passed in the recipients' time zones"}
    )


def report(counts: Report) -> dict[str, Any]:
    return asdict(counts) | {"open_rate": counts.open_rate, "bounced": counts.known_bounces}
