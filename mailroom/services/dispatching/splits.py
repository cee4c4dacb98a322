"""Split a dispatch into children: for a refused address, a partly accepted batch, a provider with smaller batches."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from mailroom.domain.dispatches.decisions import DispatchPart, Division, Split
from mailroom.domain.dispatches.fences import FenceAnswer, known_before
from mailroom.domain.dispatches.outcomes import CallResult
from mailroom.domain.dispatches.states import DispatchState
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.storage import lanes
from mailroom.storage.database import Session, in_transaction, server_now
from mailroom.storage.dispatches import splits as dispatch_splits
from mailroom.storage.messages import document as messages

log = structlog.get_logger()


def divide(work: LaneWork, divisions: Sequence[Division]) -> list[CallResult]:
    """Replace each of these dispatches by its parts: it was refused because of a recipient, or is too large for the
    provider. Returns the dispatches that stay whole because their fences show an earlier call, of which a restored
    older copy of MongoDB does not know.

    The fence is written first, and records the size of the parts: a sender that finds the dispatch in `sending` later,
    or in an older copy of MongoDB, divides it in the same way, into the same children. Raises StaleToken, Unavailable.
    """
    if not divisions:
        return []
    sizes = work.fences.split([(division.claimed, division.most) for division in divisions])
    now = server_now(work.db)
    addresses = messages.addresses_of(work.db, [division.claimed.id for division in divisions])
    called_before: list[CallResult] = []
    for division, most in zip(divisions, sizes, strict=True):
        if isinstance(most, FenceAnswer):
            if before := known_before(most):
                called_before.append(CallResult(division.claimed, before))
            continue
        ids = sorted(addresses[division.claimed.id])
        pieces = [ids[start : start + most] for start in range(0, len(ids), most)]
        parts = [DispatchPart(piece, DispatchState.PENDING) for piece in pieces]
        log.warning(
            "dispatch_divided",
            dispatch_id=division.claimed.id,
            messages=len(ids),
            parts=len(parts),
            reason=division.why,
        )
        _split(work, Split(division.claimed, parts, work.sender, division.why, division.was_called), now)
    return called_before


def _split(work: LaneWork, wanted: Split, now: datetime) -> None:
    lane = wanted.parent.claim.lane

    def write(session: Session) -> None:
        with lanes.under(work.db, {lane: work.held[lane]}, session) as guard:
            dispatch_splits.split(work.db, wanted, DispatchState.SENDING, now=now, guard=guard)

    in_transaction(work.db, write)
