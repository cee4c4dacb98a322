"""What a provider tells later, in our words."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailroom.domain.ids import DispatchId, RunId


class EventKind(StrEnum):
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    UNSUBSCRIBED_BY_MACHINE = "unsubscribed_by_machine"  # a scanner followed the link: nobody has asked for it
    RESUBSCRIBED = "resubscribed"  # takes an earlier unsubscribe back
    REJECTED = "rejected"
    FAILED = "failed"
    FEEDBACK = "feedback"  # a mailbox provider's report that is no complaint, such as `not-spam`
    UNKNOWN = "unknown"  # an event that we do not know, or cannot read; kept raw, changes nothing


@dataclass(frozen=True, slots=True)
class Event:
    """One event about one recipient.

    `id` is unique over all providers. `by_machine` marks opens and clicks of mail proxies and scanners.
    `delayed` marks a bounce that came after the delivery, `hard` one that blames the address itself. `note` goes into
    the suppression that follows from it, beside the reason. `raw` is the provider's own document, whole, as the text it
    came in. `replay_key` belongs to one event: another id with the same key is a replay, or the same event again.
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
    provider_id: str = ""  # the provider's own name of the mail, where it tells it
    replay_key: str | None = None


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


def suppresses(event: Event) -> SuppressionReason | None:
    """Why the address of this event must get nothing more; None when it may."""
    match event.kind:
        case EventKind.COMPLAINED:
            return SuppressionReason.COMPLAINED
        case EventKind.UNSUBSCRIBED:
            return SuppressionReason.UNSUBSCRIBED
        case EventKind.BOUNCED if event.hard:
            return SuppressionReason.BOUNCED
        case _:
            return None
