"""The states of a dispatch, and every move between them.

`MOVES` is the whole state machine: for each trigger, the states that it leads away from and the state that it leads to.
The writes in storage/dispatches take their conditions from it; in any other state a write changes nothing.
"""

from enum import StrEnum
from typing import Final

from mailroom.domain.messages import MessageTrigger


class DispatchState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SPLIT = "split"
    CANCELLED = "cancelled"


OPEN: Final = frozenset({DispatchState.PENDING, DispatchState.SENDING, DispatchState.IN_DOUBT})


class DispatchTrigger(StrEnum):
    """What moves a dispatch."""

    CLAIMED = "claimed"  # by a sender that holds its lane
    ACCEPTED = "accepted"  # a fact: the provider's yes, whenever it becomes known
    ANSWER_LOST = "answer_lost"  # nobody knows what came of the call
    RETURNED = "returned"  # it was refused for sure, or never called
    RETURNED_CANCELLED = "returned_cancelled"  # the same, of a run that was cancelled meanwhile
    FAILED = "failed"  # refused for good
    SPLIT = "split"  # its parts carry on
    ANSWERED_IN_PART = "answered_in_part"  # a fact: the provider judged each recipient by itself
    ALL_GONE_OUT = "all_gone_out"  # an earlier call of it had reached everybody
    ALL_SUPPRESSED = "all_suppressed"  # to mail anybody of it is forbidden by now
    CANCELLED = "cancelled"  # with its run, or by a person, while it waits
    NOT_ACCEPTED = "not_accepted"  # the provider's log shows for sure that it was not
    NOT_ACCEPTED_AND_OVER = "not_accepted_and_over"  # the same, and no try is left
    NOT_ACCEPTED_CANCELLED = "not_accepted_cancelled"  # the same, of a run that was cancelled meanwhile
    BEYOND_KNOWING = "beyond_knowing"  # held for a person
    HEARD_OF = "heard_of"  # an event came: the log is asked once more
    SAID_TO_BE_SENT = "said_to_be_sent"  # by a person
    REQUEUED = "requeued"  # by a person, who has it sent again


S = DispatchState

MOVES: Final[dict[DispatchTrigger, tuple[frozenset[DispatchState], DispatchState]]] = {
    DispatchTrigger.CLAIMED: (frozenset({S.PENDING}), S.SENDING),
    # Facts win: over a decision, a person's word, even a cancel. What was split stays so, and that is an alarm.
    DispatchTrigger.ACCEPTED: (frozenset(S) - {S.SPLIT}, S.ACCEPTED),
    DispatchTrigger.ANSWER_LOST: (frozenset({S.SENDING}), S.IN_DOUBT),
    DispatchTrigger.RETURNED: (frozenset({S.SENDING}), S.PENDING),
    DispatchTrigger.RETURNED_CANCELLED: (frozenset({S.SENDING}), S.CANCELLED),
    DispatchTrigger.FAILED: (frozenset({S.SENDING}), S.FAILED),
    DispatchTrigger.SPLIT: (frozenset({S.SENDING, S.IN_DOUBT}), S.SPLIT),
    # It may have been taken over meanwhile, been beyond knowing since, returned, or given up for a person.
    DispatchTrigger.ANSWERED_IN_PART: (frozenset({S.SENDING, S.IN_DOUBT, S.UNKNOWN, S.PENDING, S.FAILED}), S.SPLIT),
    DispatchTrigger.ALL_GONE_OUT: (frozenset({S.SENDING}), S.ACCEPTED),
    DispatchTrigger.ALL_SUPPRESSED: (frozenset({S.SENDING}), S.CANCELLED),
    DispatchTrigger.CANCELLED: (frozenset({S.PENDING}), S.CANCELLED),
    DispatchTrigger.NOT_ACCEPTED: (frozenset({S.IN_DOUBT}), S.PENDING),
    DispatchTrigger.NOT_ACCEPTED_AND_OVER: (frozenset({S.IN_DOUBT}), S.FAILED),
    DispatchTrigger.NOT_ACCEPTED_CANCELLED: (frozenset({S.IN_DOUBT}), S.CANCELLED),
    DispatchTrigger.BEYOND_KNOWING: (frozenset({S.IN_DOUBT}), S.UNKNOWN),
    DispatchTrigger.HEARD_OF: (frozenset({S.UNKNOWN}), S.IN_DOUBT),
    # A person may know sooner than the log tells.
    DispatchTrigger.SAID_TO_BE_SENT: (frozenset({S.UNKNOWN, S.IN_DOUBT}), S.ACCEPTED),
    DispatchTrigger.REQUEUED: (frozenset({S.UNKNOWN, S.FAILED}), S.PENDING),
}

# What a dispatch's state says about its messages.
TELLS_MESSAGES: Final = {
    DispatchState.PENDING: MessageTrigger.NOT_SENT,
    DispatchState.SENDING: MessageTrigger.NOT_SENT,  # claimed before its messages were told that it waits again
    DispatchState.ACCEPTED: MessageTrigger.SENT,
    DispatchState.IN_DOUBT: MessageTrigger.IN_DOUBT,
    DispatchState.UNKNOWN: MessageTrigger.UNKNOWN,
    DispatchState.FAILED: MessageTrigger.REFUSED,
    DispatchState.CANCELLED: MessageTrigger.CANCELLED,
}
