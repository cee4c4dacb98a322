"""The states of a message, and every move between them.

`MOVES` is the whole state machine: for each trigger, the states that it leads away from and the state that it leads to.
In any other state the trigger changes nothing.
"""

from enum import StrEnum
from typing import Final


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
