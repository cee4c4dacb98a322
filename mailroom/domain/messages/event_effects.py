"""What a provider's event changes about its message: the move of its state, and the facts beside the state.

Facts (`sent_at`, `delivered_at`, opens...) can be written in any order: times by their minimum, counts once per event.
So a report built from facts equals a recount of the events, however late or out of order the events arrive.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mailroom.domain.events import Event, EventKind
from mailroom.domain.messages.machine_opens import counted_as, first_by_a_person
from mailroom.domain.messages.states import MessageTrigger

_LEARNT_FROM_EVENT: Final = {
    EventKind.ACCEPTED: MessageTrigger.SENT,
    EventKind.DELIVERED: MessageTrigger.DELIVERED,
    EventKind.DEFERRED: MessageTrigger.DEFERRED,
    EventKind.BOUNCED: MessageTrigger.BOUNCED,
    EventKind.REJECTED: MessageTrigger.REJECTED,
    EventKind.FAILED: MessageTrigger.FAILED,
}


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
    return Effect(learnt, _earliest(event), counted_as(event), notes)


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
    if first := first_by_a_person(event):
        times[first] = event.at
    return times
