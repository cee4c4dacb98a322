"""Take over abandoned dispatches, which are in `sending` and in flight nowhere, by their fences: step 6 of the
protocol."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain.dispatches.decisions import Division, Failure, Return, decide_uncalled, in_halves
from mailroom.domain.dispatches.fences import (
    Fence,
    Finding,
    accepted_by_fence,
    doubt_of_abandoned,
    judge_abandoned,
)
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import InDoubt
from mailroom.domain.ids import ClaimId, Lane
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.outcomes import record_accepted
from mailroom.services.dispatching.propagation import finish_runs, propagate_states
from mailroom.services.dispatching.splits import divide
from mailroom.storage import lanes
from mailroom.storage.database import Session, in_transaction, server_now
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.dispatches import outcomes as dispatch_outcomes

log = structlog.get_logger()
A_STEP: Final = 200


@dataclass(frozen=True, slots=True)
class _Judged:
    """The facts and decisions about abandoned dispatches, to be written."""

    accepted: list[tuple[Claimed, Acceptance]] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    divisions: list[Division] = field(default_factory=list)
    doubts: list[tuple[Claimed, InDoubt]] = field(default_factory=list)


def take_over(work: LaneWork, in_hand: Collection[ClaimId]) -> int:
    """Judge the dispatches in `sending` in the held lanes, except the claims in flight in this process (`in_hand`).
    Returns how many.

    The lanes' tokens go into Redis in the transaction that reads the fences: in the memory that answers, a sender that
    still believes in an older claim cannot cross a fence any more. It is not enough that they were entered before:
    while Redis fails over, the answer may come from another master. Raises StaleToken, Unavailable.
    """
    abandoned = dispatch_claims.in_sending(work.db, list(work.held), leave_out=list(in_hand), limit=A_STEP)
    if not abandoned:
        return 0
    asked = [(dispatch.claim.lane, dispatch.id) for dispatch in abandoned]
    fences, redis_identity = work.fences.read_held(work.held, asked)
    # Read after the fences: every crossing seen was earlier, so no doubt is marked too early.
    now = server_now(work.db)
    judged = _Judged()
    for dispatch in abandoned:
        unchanged = redis_identity == dispatch.claim.redis_identity
        _judge(judged, dispatch, fences[dispatch.id], memory_unchanged=unchanged, sender=work.sender, now=now)
    _write(work, judged, {dispatch.claim.lane for dispatch in abandoned}, now)
    propagate_states(work.db, [dispatch.id for dispatch in abandoned])
    finish_runs(work.db, [dispatch.run_id for dispatch in abandoned], now=now)
    return len(abandoned)


def _write(work: LaneWork, judged: _Judged, touched: Collection[Lane], now: datetime) -> None:
    """Facts first, then the decisions in one transaction, then the divisions."""
    db = work.db

    def decide(session: Session) -> None:
        with lanes.under(db, {lane: work.held[lane] for lane in touched}, session) as guard:
            dispatch_outcomes.return_to_pending(db, judged.returns, now=now, guard=guard)
            dispatch_outcomes.fail(db, judged.failures, now=now, guard=guard)
            dispatch_outcomes.doubt_abandoned(db, judged.doubts, work.sender, now=now, guard=guard)

    record_accepted(db, work.fences, judged.accepted, now=now)
    in_transaction(db, decide)
    divide(work, judged.divisions)


def _judge(
    judged: _Judged, dispatch: Claimed, fence: Fence, *, memory_unchanged: bool, sender: str, now: datetime
) -> None:
    finding = judge_abandoned(
        fence,
        claim=dispatch.claim.id,
        cleared=dispatch.cleared,
        digest=dispatch.digest,
        memory_unchanged=memory_unchanged,
    )
    log.warning("dispatch_abandoned", dispatch_id=dispatch.id, attempt=dispatch.attempt, finding=finding)
    match finding:
        case Finding.ACCEPTED:
            judged.accepted.append((dispatch, accepted_by_fence(fence, dispatch)))
        case Finding.NOT_CALLED:
            decision = decide_uncalled(dispatch, sender=sender, now=now)
            if isinstance(decision, Return):
                judged.returns.append(decision)
            else:
                judged.failures.append(decision)
        case Finding.SPLIT:
            judged.divisions.append(in_halves(dispatch, "one of its recipients was refused"))
        case Finding.IN_DOUBT:
            judged.doubts.append((dispatch, doubt_of_abandoned(fence, dispatch, memory_unchanged=memory_unchanged)))
