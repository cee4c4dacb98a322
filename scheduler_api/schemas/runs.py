"""Runs in JSON."""

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields

from mailroom.domain.recipient_times import RecipientTime
from mailroom.domain.runs import OPEN, Run
from mailroom.storage.dispatches.queries import Slice
from scheduler_api.schemas.instants import iso


class RecipientTimeOut(Schema):
    """Of a run that goes out in each recipient's own time."""

    wall_time = fields.String(metadata={"description": "what each recipient's clock shows: without an offset"})
    default_time_zone = fields.String(metadata={"description": "for contacts without a time zone"})
    starts_at = fields.String(metadata={"description": "when it began: its audiences are those of this moment"})


class SliceOut(Schema):
    at = fields.String()
    mails = fields.Integer()
    dispatches = fields.Integer()
    open = fields.Integer(metadata={"description": "dispatches that are not through"})


class RunOut(Schema):
    id = fields.String()
    schedule_id = fields.String()
    kind = fields.String()
    status = fields.String()
    due_at = fields.String()
    recipients = fields.Integer(
        allow_none=True,
        metadata={
            "description": "of a run to segments or several audiences null until all are planned, and where it was "
            "skipped: it is not known"
        },
    )
    created_at = fields.String()
    planned_at = fields.String(allow_none=True)
    finished_at = fields.String(allow_none=True)
    cancelled_at = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    due_through = fields.String(allow_none=True)
    instants = fields.Integer()
    paused_at = fields.String(allow_none=True)
    paused_by = fields.String(allow_none=True)
    awaits_feed = fields.String(
        allow_none=True, metadata={"description": "when its feed is fetched (again); null if it does not wait for one"}
    )
    feed_problem = fields.String(
        allow_none=True, metadata={"description": "why the last fetch of its feed failed, until one succeeds"}
    )
    recipient_time = fields.Nested(
        RecipientTimeOut, allow_none=True, metadata={"description": "null: everybody gets it at once"}
    )
    template = fields.String(allow_none=True, metadata={"description": "the stored template of its content"})
    template_version = fields.Integer(allow_none=True)
    source = fields.String(
        allow_none=True, metadata={"description": "the run that did not reach the recipients of this one"}
    )


class OneRunOut(RunOut):
    waits_because = fields.String(
        allow_none=True, metadata={"description": "of an open run: that all sending is stopped, by whom and since when"}
    )


class WholeRunOut(OneRunOut):
    slices = fields.List(
        fields.Nested(SliceOut),
        metadata={"description": "of a run in each recipient's own time: what goes out when; else empty"},
    )


def run(shown: Run) -> dict[str, Any]:
    return {
        "id": shown.id,
        "schedule_id": shown.schedule_id,
        "kind": shown.kind,
        "status": shown.state,
        "due_at": iso(shown.due_at),
        "recipients": shown.recipients_known,
        "created_at": iso(shown.created_at),
        "planned_at": iso(shown.planned_at),
        "finished_at": iso(shown.finished_at),
        "cancelled_at": iso(shown.cancelled_at),
        "reason": shown.reason,
        "due_through": iso(shown.due_through),
        "instants": shown.instants,
        "paused_at": iso(shown.paused_at),
        "paused_by": shown.paused_by or None,
        "awaits_feed": iso(shown.awaits_feed),
        "feed_problem": shown.feed_problem or None,
        "recipient_time": _recipient_time(shown.recipient_time) if shown.recipient_time else None,
        "template": shown.template.name if shown.template else None,
        "template_version": shown.template.version if shown.template else None,
        "source": shown.source,
    }


def one_run(shown: Run, why_stopped: str | None) -> dict[str, Any]:
    """`why_stopped`: the words for why all sending is stopped; None while it is not."""
    return run(shown) | {"waits_because": why_stopped if shown.state in OPEN else None}


def whole_run(shown: Run, slices: Sequence[Slice], why_stopped: str | None) -> dict[str, Any]:
    of_each = [{"at": iso(one.at), "mails": one.mails, "dispatches": one.calls, "open": one.open} for one in slices]
    return one_run(shown, why_stopped) | {"slices": of_each}


def _recipient_time(own: RecipientTime) -> dict[str, Any]:
    return {
        "wall_time": own.wall.isoformat(),
        "default_time_zone": own.default_zone,
        "starts_at": iso(own.starts_at),
    }
