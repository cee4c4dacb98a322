"""Runs, reports, mails and dispatches in JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.messages.states import MessageState
from mailroom.domain.recipient_times import RecipientTime
from mailroom.domain.reports import Report
from mailroom.domain.runs import Run
from mailroom.services.reports.runs import DispatchView
from mailroom.services.reports.timeline import Story, TimelineStep
from mailroom.services.schedules.pause import InHand, Toll
from mailroom.storage.dispatches.queries import Slice
from scheduler_api.paging import ListQuery


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
    recipients = fields.Integer()
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


class WholeRunOut(RunOut):
    slices = fields.List(
        fields.Nested(SliceOut),
        metadata={"description": "of a run in each recipient's own time: what goes out when; else empty"},
    )


class CallOut(Schema):
    dispatch_id = fields.String()
    mails = fields.Integer()


class TollOut(Schema):
    """How the mails stand, where something was paused, resumed, cancelled or archived."""

    runs = fields.List(fields.String(), metadata={"description": "the runs that these numbers are of"})
    sent = fields.Integer(metadata={"description": "mails that a provider has taken"})
    held = fields.Integer(metadata={"description": "mails that wait; of a paused run none of them goes"})
    cancelled = fields.Integer(metadata={"description": "mails that do not go any more"})
    in_doubt = fields.Integer(metadata={"description": "mails of which it is, or stays, unknown whether they went out"})
    mails_in_flight = fields.Integer()
    in_flight = fields.List(
        fields.Nested(CallOut),
        metadata={"description": "the calls that were under way at this moment: these go all the same, no others do"},
    )
    in_flight_is_sure = fields.Boolean(
        metadata={
            "description": "false while Redis does not answer, or just after it failed over: some of these calls may "
            "not be made"
        }
    )


class PausedRunOut(RunOut):
    mails = fields.Nested(TollOut)


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


class MessageOut(Schema):
    id = fields.String()
    address = fields.String()
    name = fields.String()
    status = fields.String()
    code = fields.Integer(allow_none=True)
    reason = fields.String(allow_none=True)
    dispatch_id = fields.String(allow_none=True)
    sent_at = fields.String(allow_none=True)
    delivered_at = fields.String(allow_none=True)
    first_opened_at = fields.String(allow_none=True)
    opens = fields.Integer()
    clicks = fields.Integer()


class StepOut(Schema):
    at = fields.String()
    what = fields.String()
    dispatch_id = fields.String(allow_none=True)
    details = fields.Dict()


class StoryOut(MessageOut):
    worker = fields.String(
        allow_none=True, metadata={"description": "the sender that has it, or had it last; its id in /v1/workers"}
    )
    steps = fields.List(fields.Nested(StepOut))


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


class MessageQuery(ListQuery):
    status = fields.String(validate=validate.OneOf(list(MessageState)))


class DispatchQuery(ListQuery):
    state = fields.String(validate=validate.OneOf(list(DispatchState)))
    run_id = fields.String(validate=validate.Length(max=200))


def run(shown: Run) -> dict[str, Any]:
    return {
        "id": shown.id,
        "schedule_id": shown.schedule_id,
        "kind": shown.kind,
        "status": shown.state,
        "due_at": iso(shown.due_at),
        "recipients": shown.recipients,
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


def whole_run(shown: Run, slices: Sequence[Slice]) -> dict[str, Any]:
    of_each = [{"at": iso(one.at), "mails": one.mails, "dispatches": one.calls, "open": one.open} for one in slices]
    return run(shown) | {"slices": of_each}


def _recipient_time(own: RecipientTime) -> dict[str, Any]:
    return {
        "wall_time": own.wall.isoformat(),
        "default_time_zone": own.default_zone,
        "starts_at": iso(own.starts_at),
    }


def with_toll(shown: Mapping[str, Any], counted: Toll) -> dict[str, Any]:
    """The thing that was paused, resumed, cancelled or archived, with the counts of its mails."""
    return {**shown, "mails": toll(counted)}


def toll(counted: Toll) -> dict[str, Any]:
    return {
        "runs": list(counted.runs),
        "sent": counted.sent,
        "held": counted.held,
        "cancelled": counted.cancelled,
        "in_doubt": counted.in_doubt,
        "mails_in_flight": counted.mails_in_flight,
        "in_flight": calls(counted.in_flight),
        "in_flight_is_sure": counted.sure,
    }


def calls(in_flight: Sequence[InHand]) -> list[dict[str, Any]]:
    return [{"dispatch_id": call.id, "mails": call.messages} for call in in_flight]


def report(counts: Report) -> dict[str, Any]:
    return asdict(counts) | {"open_rate": counts.open_rate, "bounced": counts.known_bounces}


def message(stored: StoredMessage) -> dict[str, Any]:
    return {
        "id": stored.id,
        "address": stored.address,
        "name": stored.name,
        "status": stored.state,
        "code": stored.code,
        "reason": stored.reason,
        "dispatch_id": stored.dispatch_id,
        "sent_at": iso(stored.sent_at),
        "delivered_at": iso(stored.delivered_at),
        "first_opened_at": iso(stored.first_opened_at),
        "opens": stored.opens,
        "clicks": stored.clicks,
    }


def story(whole: Story) -> dict[str, Any]:
    return message(whole.message) | {"worker": whole.worker, "steps": [step(one) for one in whole.steps]}


def step(entry: TimelineStep) -> dict[str, Any]:
    return {"at": iso(entry.at), "what": entry.what, "dispatch_id": entry.dispatch, "details": dict(entry.details)}


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


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
