"""Provider events in our own terms. What an event changes about a message: `domain/messages/event_effects.py`."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from mailroom.domain.ids import DispatchId, MessageId, RunId


class EventKind(StrEnum):
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    UNSUBSCRIBED_BY_MACHINE = "unsubscribed_by_machine"  # a scanner followed the link: no person asked for it
    RESUBSCRIBED = "resubscribed"  # reverses an earlier unsubscribe
    REJECTED = "rejected"
    FAILED = "failed"
    FEEDBACK = "feedback"  # a mailbox provider's report other than a complaint, such as `not-spam`
    UNKNOWN = "unknown"  # an unknown or unreadable event; stored raw, changes nothing


class Event(Struct, frozen=True):
    """One event about one recipient.

    `id` is unique over all providers. `by_machine` marks opens and clicks of mail proxies and scanners. `delayed` marks
    a bounce after the delivery, `hard` a bounce that blames the address itself. `note` goes into the resulting
    suppression, beside the reason. `raw` is the provider's whole document, as the received text. `replay_key` belongs
    to one event: another id with the same key is a replay, or a repetition of the event.
    """

    id: str
    provider: str
    kind: EventKind
    at: datetime
    recipient: str
    run_id: RunId | None
    dispatch_id: DispatchId | None
    raw: str  # JSON text
    by_machine: bool = False
    delayed: bool = False
    hard: bool = False
    code: int | None = None
    reason: str = ""
    note: str = ""
    provider_id: str = ""  # the provider's own id of the mail, if the event has it
    replay_key: str | None = None
    message: MessageId | None = None  # that it is about, where its recipient was erased and names none
    scope: str = ""  # of the suppression that an unsubscribe causes; '': the kind's own


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


def suppresses(event: Event) -> SuppressionReason | None:
    """The reason to suppress the address of this event; None if the event suppresses nothing."""
    match event.kind:
        case EventKind.COMPLAINED:
            return SuppressionReason.COMPLAINED
        case EventKind.UNSUBSCRIBED:
            return SuppressionReason.UNSUBSCRIBED
        case EventKind.BOUNCED if event.hard:
            return SuppressionReason.BOUNCED
        case _:
            return None
