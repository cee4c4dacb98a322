"""A message: one mail to one recipient of a run, or of a single mail. Its state, and the facts beside it.

`MOVES` is the whole state machine: for what is learnt about a message, the states it leads away from and the state it
leads to. Everything else leaves the state alone. Facts (`sent_at`, `delivered_at`, opens...) are kept apart from
the state, and each can be written in any order: times by their minimum, counts once per event. So a report
built from facts equals a recount of the events, however late or shuffled they came.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, MessageId, RunId


class MessageState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"  # the provider accepted it
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    REJECTED = "rejected"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    IN_DOUBT = "in_doubt"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


# It is known of these that the mail did not reach its recipient, who may have it.
UNREACHED: Final = frozenset({MessageState.FAILED, MessageState.REJECTED, MessageState.BOUNCED, MessageState.CANCELLED})


class MessageTrigger(StrEnum):
    """What can be learnt about a message: from our own dispatch, or from a provider's event."""

    SENT = "sent"
    IN_DOUBT = "in_doubt"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    BOUNCED_LATE = "bounced_late"
    REJECTED = "rejected"
    FAILED = "failed"


S = MessageState
_BEFORE_SENT: Final = frozenset({S.QUEUED, S.IN_DOUBT, S.UNKNOWN})
_ON_THE_WAY: Final = _BEFORE_SENT | {S.SENT, S.DEFERRED}

MOVES: Final[dict[MessageTrigger, tuple[frozenset[MessageState], MessageState]]] = {
    # A cancelled or failed message that a provider accepted after all did go out: facts win.
    MessageTrigger.SENT: (_BEFORE_SENT | {S.CANCELLED, S.FAILED}, S.SENT),
    # From failed, too: it may have been sent again before it was told that it waits.
    MessageTrigger.IN_DOUBT: (frozenset({S.QUEUED, S.FAILED}), S.IN_DOUBT),
    MessageTrigger.UNKNOWN: (frozenset({S.QUEUED, S.IN_DOUBT, S.FAILED}), S.UNKNOWN),
    # A failed one too: a person has its call sent again.
    MessageTrigger.NOT_SENT: (frozenset({S.IN_DOUBT, S.UNKNOWN, S.FAILED}), S.QUEUED),
    MessageTrigger.REFUSED: (_BEFORE_SENT, S.FAILED),
    MessageTrigger.CANCELLED: (_BEFORE_SENT, S.CANCELLED),
    MessageTrigger.DEFERRED: (_BEFORE_SENT | {S.SENT}, S.DEFERRED),
    MessageTrigger.DELIVERED: (_ON_THE_WAY | {S.CANCELLED, S.FAILED}, S.DELIVERED),
    # An ordinary bounce after a delivery is an old event that came late: the delivery stands.
    MessageTrigger.BOUNCED: (_ON_THE_WAY | {S.CANCELLED, S.FAILED}, S.BOUNCED),
    # A delayed bounce is told by the receiving side after it took the mail (Mailgun's flags.is-delayed-bounce).
    MessageTrigger.BOUNCED_LATE: (_ON_THE_WAY | {S.CANCELLED, S.FAILED, S.DELIVERED}, S.BOUNCED),
    MessageTrigger.REJECTED: (_ON_THE_WAY, S.REJECTED),
    MessageTrigger.FAILED: (_ON_THE_WAY, S.FAILED),
}

_LEARNT_FROM_EVENT: Final = {
    EventKind.ACCEPTED: MessageTrigger.SENT,
    EventKind.DELIVERED: MessageTrigger.DELIVERED,
    EventKind.DEFERRED: MessageTrigger.DEFERRED,
    EventKind.BOUNCED: MessageTrigger.BOUNCED,
    EventKind.REJECTED: MessageTrigger.REJECTED,
    EventKind.FAILED: MessageTrigger.FAILED,
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message as planning writes it; `parts` are the rendered pieces of the content that differ by recipient."""

    id: MessageId
    run_id: RunId
    dispatch_id: DispatchId | None
    address: str
    name: str
    parts: dict[str, str]
    state: MessageState = MessageState.QUEUED
    reason: str = ""
    place: str = ""  # of a single mail's recipient: to, cc or bcc
    sent: bool = False  # a provider has told that it took it


@dataclass(frozen=True, slots=True)
class Effect:
    """What one event does to its message: a move of the state, earliest times, counts."""

    learnt: MessageTrigger | None
    earliest: dict[str, datetime] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def effect_of(event: Event) -> Effect:
    """The effect of an event that is seen for the first time. Pure; repeated events must be sorted out before."""
    learnt = _LEARNT_FROM_EVENT.get(event.kind)
    if learnt is MessageTrigger.BOUNCED and event.delayed:
        learnt = MessageTrigger.BOUNCED_LATE
    notes = {"code": event.code, "reason": event.reason} if learnt in _TELLING and event.reason else {}
    return Effect(learnt, _earliest(event), _counts(event), notes)


_TELLING: Final = {
    MessageTrigger.DEFERRED,
    MessageTrigger.BOUNCED,
    MessageTrigger.BOUNCED_LATE,
    MessageTrigger.REJECTED,
    MessageTrigger.FAILED,
}

_FACT_TIMES: Final = {
    EventKind.DELIVERED: "delivered_at",
    EventKind.BOUNCED: "bounced_at",
    EventKind.COMPLAINED: "complained_at",
    EventKind.UNSUBSCRIBED: "unsubscribed_at",
}


def _earliest(event: Event) -> dict[str, datetime]:
    if event.kind is EventKind.UNKNOWN:
        return {}  # it may be of anything
    # Any event about a message proves that the provider had accepted it.
    times = {"sent_at": event.at}
    if event.kind in _FACT_TIMES:
        times[_FACT_TIMES[event.kind]] = event.at
    if event.kind is EventKind.OPENED and not event.by_machine:
        times["first_opened_at"] = event.at
    if event.kind is EventKind.CLICKED and not event.by_machine:
        times["first_clicked_at"] = event.at
    return times


def _counts(event: Event) -> dict[str, int]:
    if event.kind is EventKind.OPENED:
        return {"machine_opens" if event.by_machine else "opens": 1}
    if event.kind is EventKind.CLICKED:
        return {"machine_clicks" if event.by_machine else "clicks": 1}
    return {}
