"""The states of a dispatch, and every move between them.

`MOVES` is the whole state machine: for each trigger, the states that it leads away from and the state that it leads to.
The writes in storage/dispatches take their conditions from it; in any other state a write changes nothing.
"""

from enum import StrEnum
from typing import Final

from mailroom.domain.messages.states import MessageTrigger


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
    """The causes of a dispatch's moves."""

    CLAIMED = "claimed"  # by a sender that holds its lane
    ACCEPTED = "accepted"  # a fact: the provider's acceptance, whenever it becomes known
    ANSWER_LOST = "answer_lost"  # the outcome of the call is in doubt
    RETURNED = "returned"  # certainly refused, or never called
    RETURNED_CANCELLED = "returned_cancelled"  # as RETURNED, but the run was cancelled after the claim
    FAILED = "failed"  # refused for good
    SPLIT = "split"  # its parts continue it
    ANSWERED_IN_PART = "answered_in_part"  # a fact: the provider decided about each recipient separately
    ALL_GONE_OUT = "all_gone_out"  # an earlier call had reached every recipient
    ALL_SUPPRESSED = "all_suppressed"  # every recipient has been suppressed since planning
    CANCELLED = "cancelled"  # with its run, or by a person, while pending
    NOT_ACCEPTED = "not_accepted"  # the provider's log proves that the call was not accepted
    NOT_ACCEPTED_AND_OVER = "not_accepted_and_over"  # as NOT_ACCEPTED, but no try is left
    NOT_ACCEPTED_CANCELLED = "not_accepted_cancelled"  # as NOT_ACCEPTED, but the run was cancelled after the claim
    CARRIED_ON = "carried_on"  # a single mail: its dispatch elsewhere goes on, as a new attempt or after one
    BEYOND_KNOWING = "beyond_knowing"  # held for a person
    HEARD_OF = "heard_of"  # an event arrived: ask the log again
    SAID_TO_BE_SENT = "said_to_be_sent"  # by a person
    REQUEUED = "requeued"  # by a person: a new attempt


S = DispatchState

MOVES: Final[dict[DispatchTrigger, tuple[frozenset[DispatchState], DispatchState]]] = {
    DispatchTrigger.CLAIMED: (frozenset({S.PENDING}), S.SENDING),
    # A fact overrides a decision, a person's word, even a cancel. A split dispatch stays split, which is an alarm.
    DispatchTrigger.ACCEPTED: (frozenset(S) - {S.SPLIT}, S.ACCEPTED),
    DispatchTrigger.ANSWER_LOST: (frozenset({S.SENDING}), S.IN_DOUBT),
    DispatchTrigger.RETURNED: (frozenset({S.SENDING}), S.PENDING),
    DispatchTrigger.RETURNED_CANCELLED: (frozenset({S.SENDING}), S.CANCELLED),
    DispatchTrigger.FAILED: (frozenset({S.SENDING}), S.FAILED),
    DispatchTrigger.SPLIT: (frozenset({S.SENDING, S.IN_DOUBT}), S.SPLIT),
    # Since the call, a take-over may have put it in doubt, held it as unknown, returned it, or failed it.
    DispatchTrigger.ANSWERED_IN_PART: (frozenset({S.SENDING, S.IN_DOUBT, S.UNKNOWN, S.PENDING, S.FAILED}), S.SPLIT),
    DispatchTrigger.ALL_GONE_OUT: (frozenset({S.SENDING}), S.ACCEPTED),
    DispatchTrigger.ALL_SUPPRESSED: (frozenset({S.SENDING}), S.CANCELLED),
    DispatchTrigger.CANCELLED: (frozenset({S.PENDING}), S.CANCELLED),
    DispatchTrigger.NOT_ACCEPTED: (frozenset({S.IN_DOUBT}), S.PENDING),
    DispatchTrigger.NOT_ACCEPTED_AND_OVER: (frozenset({S.IN_DOUBT}), S.FAILED),
    DispatchTrigger.NOT_ACCEPTED_CANCELLED: (frozenset({S.IN_DOUBT}), S.CANCELLED),
    # By the log, or by a person who has it sent again.
    DispatchTrigger.CARRIED_ON: (frozenset({S.IN_DOUBT, S.UNKNOWN}), S.CANCELLED),
    DispatchTrigger.BEYOND_KNOWING: (frozenset({S.IN_DOUBT}), S.UNKNOWN),
    DispatchTrigger.HEARD_OF: (frozenset({S.UNKNOWN}), S.IN_DOUBT),
    # A person may know before the log shows it.
    DispatchTrigger.SAID_TO_BE_SENT: (frozenset({S.UNKNOWN, S.IN_DOUBT}), S.ACCEPTED),
    DispatchTrigger.REQUEUED: (frozenset({S.UNKNOWN, S.FAILED}), S.PENDING),
}

# The trigger that a dispatch's state gives to its messages.
TELLS_MESSAGES: Final = {
    DispatchState.PENDING: MessageTrigger.NOT_SENT,
    DispatchState.SENDING: MessageTrigger.NOT_SENT,  # claimed again before its pending state was propagated
    DispatchState.ACCEPTED: MessageTrigger.SENT,
    DispatchState.IN_DOUBT: MessageTrigger.IN_DOUBT,
    DispatchState.UNKNOWN: MessageTrigger.UNKNOWN,
    DispatchState.FAILED: MessageTrigger.REFUSED,
    DispatchState.CANCELLED: MessageTrigger.CANCELLED,
}
