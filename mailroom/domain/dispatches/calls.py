"""The calls made for one message, across the dispatches that carried it: how many, and by which sender the last."""

from collections.abc import Iterable, Mapping
from typing import Final

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId

_NOT_DECIDED: Final = frozenset({DispatchState.SENDING, DispatchState.IN_DOUBT, DispatchState.UNKNOWN})


def calls_for(carrier: DispatchId | None, left: DispatchId | None, dispatches: Mapping[DispatchId, Dispatch]) -> int:
    """The calls that used up a try, plus the call that is undecided or was accepted.

    `carrier`: the message's dispatch. `left`: the dispatch that the message left before the call. `dispatches`: all
    dispatches of the run or mail.
    """
    calls, dispatch = 0, dispatches.get(carrier or left or DispatchId(""))
    while dispatch is not None:
        calls += _own_calls(dispatch, newest_counts=dispatch.id != left)
        before = dispatch.parent or dispatch.elsewhere_of
        dispatch = dispatches.get(before) if before else None
    return calls


def newest_claimant(dispatches: Iterable[Dispatch]) -> str | None:
    """The sender of the newest claim of these dispatches: it has them, or had them last. None: never claimed."""
    claims = [(each.claimed_at, each.claim.sender) for each in dispatches if each.claim and each.claimed_at]
    return max(claims)[1] if claims else None


def _own_calls(dispatch: Dispatch, *, newest_counts: bool) -> int:
    """The calls of this dispatch itself. Tries inherited from its parent do not count, nor does an acceptance of a part
    that was never called itself."""
    if dispatch.attempt == 0:
        return 0
    undecided = dispatch.state in _NOT_DECIDED or bool(dispatch.accepted)
    return max(0, dispatch.tries - dispatch.inherited_tries) + (undecided and newest_counts)
