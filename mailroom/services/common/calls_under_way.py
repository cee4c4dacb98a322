"""The calls among claimed dispatches, by their fences."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.errors import Unavailable
from mailroom.storage.dispatches.counts import InHand

ANY_REDIS: Final = ""  # the holds have stood for so long that every Redis that answers has them
WHY_NOT_SURE: Final = "Redis does not answer, or has failed over"


@dataclass(frozen=True, slots=True)
class Called:
    """The called ones of claimed dispatches.

    `in_flight`: the call may still go out or be answered; nothing else of them goes out. `accepted`: a provider has
    accepted the dispatch, and its sender has not recorded this yet. Not `sure`: some of `in_flight` may not be called,
    because Redis does not answer, or has changed since their claims.
    """

    in_flight: tuple[InHand, ...]
    accepted: tuple[InHand, ...] = ()
    sure: bool = True


def called_among(fences: Fences, in_hand: Collection[InHand], *, held_in: str | None) -> Called:
    """The called ones of these claimed dispatches, by their fences. Under a hold, a dispatch that has not crossed its
    fence is not called.

    `held_in`: the identity of the Redis that has their holds, or ANY_REDIS; None if none is known to have them. A
    dispatch that was claimed under another identity may have crossed, or may yet cross, its fence in another memory: in
    one that is lost, or in that of a master that was replaced and does not know it yet.
    """
    if held_in is None:
        return Called(tuple(in_hand), sure=False)
    if not in_hand:
        return Called(())
    try:
        records, identity = fences.read([(dispatch.lane, dispatch.id) for dispatch in in_hand])
    except Unavailable:
        return Called(tuple(in_hand), sure=False)
    if held_in not in (ANY_REDIS, identity):
        return Called(tuple(in_hand), sure=False)
    accepted = [dispatch for dispatch in in_hand if records[dispatch.id].state is FenceState.DONE]
    elsewhere = {d.id for d in in_hand if d.redis_identity != identity} - {dispatch.id for dispatch in accepted}
    called = [d for d in in_hand if d.id in elsewhere or _is_crossed_by(records[d.id], d)]
    return Called(tuple(called), tuple(accepted), sure=not elsewhere)


def _is_crossed_by(fence: Fence, dispatch: InHand) -> bool:
    return fence.state is FenceState.CROSSED and fence.claim_id == dispatch.claim
