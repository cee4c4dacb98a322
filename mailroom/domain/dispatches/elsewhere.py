"""A single mail that goes by another provider while its first call is in doubt: the one exception to "once".

Its caller chose it (`on_doubt: elsewhere`): a password reset that may come twice beats one that comes too late. The
mail's dispatch stays in doubt, is reconciled to its end, and never gets a new attempt. A second dispatch with a fence
of its own carries the mail on, at other providers. Its id follows from the first, so a mail goes elsewhere once, even
after a store was put back to an older copy. The second dispatch is an ordinary one: its own doubt waits.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final

from mailroom.domain.dispatches.states import TELLS_MESSAGES, DispatchState
from mailroom.domain.messages.states import MessageTrigger

# The provider is asked a few times before: its log shows most accepted calls within this time.
GOES_ELSEWHERE_AFTER: Final = timedelta(seconds=3)


class First(StrEnum):
    """What is known of the first call, while nobody can say that it was not accepted."""

    IN_DOUBT = "in_doubt"
    UNKNOWN = "unknown"


class WentTwice(StrEnum):
    """Whether a mail that went elsewhere reached its recipients twice."""

    NO = "no"  # at most one of its calls was accepted
    MAYBE = "maybe"  # the second was accepted, and nobody knows of the first
    YES = "yes"  # both were accepted


def others(order: Sequence[str], first: str) -> tuple[str, ...]:
    """The providers by which a mail may go elsewhere, in their order. `first`: the provider of the call in doubt."""
    return tuple(name for name in order if name != first)


def trigger_for_messages(state: DispatchState, first: First | None) -> MessageTrigger | None:
    """The trigger that a dispatch's state gives to its messages. None: it gives none.

    While the first call of a mail may have been accepted, nothing but an acceptance of the second changes its messages:
    otherwise they are in doubt, in whatever state the second is, and unknown once nobody can find out about either.
    """
    if first is None or state is DispatchState.ACCEPTED:
        return TELLS_MESSAGES.get(state)
    if state is DispatchState.SPLIT:
        return None
    under_way = state in (DispatchState.PENDING, DispatchState.SENDING, DispatchState.IN_DOUBT)
    return MessageTrigger.IN_DOUBT if under_way or first is First.IN_DOUBT else MessageTrigger.UNKNOWN


def went_twice(*, first: DispatchState, first_accepted: bool, second_accepted: bool) -> WentTwice:
    """Whether the mail reached its recipients twice. `first`: the state of the dispatch that was in doubt."""
    if not second_accepted:
        return WentTwice.NO
    if first_accepted:
        return WentTwice.YES
    return WentTwice.MAYBE if first in (DispatchState.IN_DOUBT, DispatchState.UNKNOWN) else WentTwice.NO
