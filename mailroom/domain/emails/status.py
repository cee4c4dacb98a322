"""What a mail's recipients together say about it."""

from collections.abc import Collection
from typing import Final

from mailroom.domain.messages import MessageState

S = MessageState
# The first of these that any recipient is in is the mail's: what is open, then what wants a person, then the rest.
_FIRST_OF: Final = (
    S.IN_DOUBT,
    S.UNKNOWN,
    S.QUEUED,
    S.FAILED,
    S.REJECTED,
    S.BOUNCED,
    S.DEFERRED,
    S.SENT,
    S.DELIVERED,
    S.SUPPRESSED,
    S.CANCELLED,
)


def overall(states: Collection[MessageState]) -> MessageState:
    """The state of a mail whose recipients are in these states."""
    return next((state for state in _FIRST_OF if state in states), S.QUEUED)
