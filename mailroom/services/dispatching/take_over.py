"""Dispatches in `sending` that are in nobody's hands are judged by their fences. Step 6 of the protocol."""

from collections.abc import Collection, Mapping
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.fences import FenceState, Finding, judge_abandoned
from mailroom.domain.dispatches.model import FAILS_AFTER_CRASHES, Acceptance, Claimed
from mailroom.domain.ids import ClaimId, Lane, Token
from mailroom.domain.outcomes import InDoubt
from mailroom.services.dispatching.fences import crossed_by_another
from mailroom.services.dispatching.outcomes import record_accepted
from mailroom.services.dispatching.propagation import finish_runs, propagate_states
from mailroom.services.dispatching.splits import Division, divide, in_halves
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches.doubts import GIVES_UP
from mailroom.storage.dispatches.outcomes import Return

log = structlog.get_logger()
A_STEP: Final = 200
_CALLED: Final = (FenceState.CROSSED, FenceState.DONE, FenceState.SPLIT)


def take_over(
    db: Db,
    fences: Fences,
    held: Mapping[Lane, Token],
    in_hand: Collection[ClaimId],
    *,
    sender: str,
) -> int:
    """Judge what stands in `sending` in the held lanes under claims that this process does not have in hand. Returns
    how many.

    `held` must have been taken before, so that the lanes' tokens are in Redis: whoever still believes to hold one
    of these claims cannot cross a fence any more. Raises StaleToken, Unavailable.
    """
    abandoned = dispatch_claims.in_sending(db, list(held), leave_out=list(in_hand), limit=A_STEP)
    if not abandoned:
        return 0
    found, redis_identity = fences.read([(dispatch.claim.lane, dispatch.id) for dispatch in abandoned])
    # After the fences were read: whatever was crossed was crossed before, so the doubt is not marked too early.
    now = server_now(db)
    accepted: list[tuple[Claimed, Acceptance]] = []
    returns: list[Return] = []
    failures: list[tuple[Claimed, str, int | None]] = []
    divisions: list[Division] = []
    doubts: list[tuple[Claimed, InDoubt]] = []
    for dispatch in abandoned:
        fence = found[dispatch.id]
        unchanged, own = redis_identity == dispatch.claim.redis_identity, dispatch.claim.id
        finding = judge_abandoned(
            fence,
            claim=own,
            cleared=dispatch.cleared,
            digest=dispatch.digest,
            memory_unchanged=unchanged,
        )
        log.warning("dispatch_abandoned", dispatch_id=dispatch.id, attempt=dispatch.attempt, finding=finding)
        match finding:
            case Finding.ACCEPTED:
                provider = fence.called_at.provider if fence.called_at else dispatch.provider
                accepted.append((dispatch, Acceptance(provider, fence.provider_id, fence.attempt)))
            case Finding.NOT_CALLED if dispatch.claim.sender == sender:
                returns.append(Return(dispatch, now, "its claim was not known to have been made"))
            case Finding.NOT_CALLED if dispatch.crashes + 1 >= FAILS_AFTER_CRASHES:
                failures.append((dispatch, GIVES_UP, None))
            case Finding.NOT_CALLED:
                returns.append(Return(dispatch, now, "its sender went away before the call", crashed=True))
            case Finding.SPLIT:
                divisions.append(in_halves(dispatch, "one of its recipients was refused"))
            case Finding.IN_DOUBT if fence.state in _CALLED and fence.claim_id not in (own, *dispatch.cleared):
                # An older copy knows nothing of it, and may name another provider than the one that was called since.
                final = fence.state is not FenceState.CROSSED
                by, at, where = fence.claim_id, fence.crossed_at, fence.called_at
                doubts.append((dispatch, crossed_by_another(by, at, where, final=final)))
            case Finding.IN_DOUBT:
                doubts.append((dispatch, InDoubt(_why(unchanged))))

    def work(session: Session) -> None:
        with lanes.under(db, {d.claim.lane: held[d.claim.lane] for d in abandoned}, session) as guard:
            dispatch_outcomes.return_to_pending(db, returns, now=now, guard=guard)
            dispatch_outcomes.fail(db, failures, now=now, guard=guard)
            dispatch_outcomes.doubt_abandoned(db, doubts, sender, now=now, guard=guard)

    record_accepted(db, fences, accepted, now=now)
    in_transaction(db, work)
    divide(db, fences, divisions, held, by=sender)
    propagate_states(db, [dispatch.id for dispatch in abandoned])
    finish_runs(db, [dispatch.run_id for dispatch in abandoned], now=now)
    return len(abandoned)


def _why(memory_unchanged: bool) -> str:
    if memory_unchanged:
        return "its sender went away after it crossed the fence: the call may have been made"
    return "its sender went away, and Redis has restarted since: whether the call was made is forgotten"
