"""A message: one mail to one recipient of a run, or of a single mail. Its state, and the facts beside it.

`MOVES` is the whole state machine: for each trigger, the states that it leads away from and the state that it leads to.
In any other state the trigger changes nothing. Facts (`sent_at`, `delivered_at`, opens...) are separate from the state
and can be written in any order: times by their minimum, counts once per event. So a report built from facts equals a
recount of the events, however late or out of order the events arrive.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, MessageId, RunId, address_digest_of


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


# States that prove that the mail did not reach its recipient, although the recipient may get mail.
UNREACHED: Final = frozenset({MessageState.FAILED, MessageState.REJECTED, MessageState.BOUNCED, MessageState.CANCELLED})


class MessageTrigger(StrEnum):
    """Causes of a message's moves: news of its own dispatch, or a provider's event."""

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
    # Also from failed: the dispatch may have been retried before its pending state was propagated.
    MessageTrigger.IN_DOUBT: (frozenset({S.QUEUED, S.FAILED}), S.IN_DOUBT),
    MessageTrigger.UNKNOWN: (frozenset({S.QUEUED, S.IN_DOUBT, S.FAILED}), S.UNKNOWN),
    # Also from failed: a person requeued the dispatch.
    MessageTrigger.NOT_SENT: (frozenset({S.IN_DOUBT, S.UNKNOWN, S.FAILED}), S.QUEUED),
    MessageTrigger.REFUSED: (_BEFORE_SENT, S.FAILED),
    MessageTrigger.CANCELLED: (_BEFORE_SENT, S.CANCELLED),
    MessageTrigger.DEFERRED: (_BEFORE_SENT | {S.SENT}, S.DEFERRED),
    MessageTrigger.DELIVERED: (_ON_THE_WAY | {S.CANCELLED, S.FAILED}, S.DELIVERED),
    # An ordinary bounce after a delivery is an old event that arrived late: the delivery remains.
    MessageTrigger.BOUNCED: (_ON_THE_WAY | {S.CANCELLED, S.FAILED}, S.BOUNCED),
    # The receiving side reports a delayed bounce after it accepted the mail (Mailgun's flags.is-delayed-bounce).
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
    place: str = ""  # a recipient of a single mail: to, cc or bcc
    sent: bool = False  # an event or answer shows that a provider accepted the message


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as of its read: its state, and the facts beside the state."""

    id: MessageId
    run_id: RunId  #: for a recipient of a single mail: the mail's id
    dispatch_id: DispatchId | None  #: None: the message never gets a dispatch, or has left its dispatch
    left_dispatch: DispatchId | None = None  #: the dispatch that the message left before the call
    address: str
    name: str
    state: MessageState
    code: int | None = None  #: the provider's last code, with `reason`
    reason: str | None = None
    place: str = ""  #: a recipient of a single mail: to, cc or bcc
    sent_again: str | None = None  #: the run or mail that carries the message instead
    sent_at: datetime | None = None  #: the earliest reported time, as for the other times
    delivered_at: datetime | None = None
    bounced_at: datetime | None = None
    first_opened_at: datetime | None = None
    told_at: datetime | None = None  #: when the newest event about it was taken in
    opens: int = 0  #: by people; distinct events
    clicks: int = 0

    @property
    def digest(self) -> str:
        """The part of the id that identifies the recipient."""
        return address_digest_of(self.id)


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of one event on its message: a move of the state, earliest times, counts."""

    learnt: MessageTrigger | None
    earliest: dict[str, datetime] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def effect_of(event: Event) -> Effect:
    """The effect of an event that is seen for the first time. Pure. The caller must drop repeated events first."""
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
        return {}  # the event may mean anything
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
