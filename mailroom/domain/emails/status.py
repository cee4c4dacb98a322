"""The status of a single mail, from its messages and its dispatches: its state, its last change, the provider's
answers."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.ids import DispatchId
from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.messages.states import MessageState

S = MessageState
# The mail has the first of these states that any recipient has: open states, then states that need a person, then the
# others.
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


def last_change(created_at: datetime, messages: Iterable[StoredMessage], dispatches: Iterable[Dispatch]) -> datetime:
    """The time of the newest step of a call, or of the newest event that was taken in; else of the acceptance by us.
    `dispatches`: with the newest step of each trail at least."""
    times: list[datetime | None] = [created_at]
    for message in messages:
        # Where an older version took the events in, only the facts say when.
        times += [message.told_at, message.sent_at, message.delivered_at, message.bounced_at, message.first_opened_at]
    for dispatch in dispatches:
        times += [dispatch.claimed_at, *(step.at for step in dispatch.trail), *(yes.at for yes in dispatch.accepted)]
    return max(at for at in times if at is not None)


def with_answer(message: StoredMessage, dispatches: Mapping[DispatchId, Dispatch]) -> StoredMessage:
    """A message that was sent with the provider's answer to its call as code and reason; any other as it is, since its
    reason is that of its state. `dispatches`: all of the mail."""
    carrier = dispatches.get(message.dispatch_id or message.left_dispatch or DispatchId(""))
    if message.state not in (S.SENT, S.DELIVERED) or carrier is None:
        return message
    answers = [yes for yes in carrier.accepted if yes.reason or yes.code is not None]
    return replace(message, code=answers[-1].code, reason=answers[-1].reason or None) if answers else message
