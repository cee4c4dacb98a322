"""Write the conclusions about dispatches in doubt.

Facts are written whatever the lane's token is; decisions only under it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.domain.dispatches.conclusions import Findings, retry_at, verdict_of
from mailroom.domain.dispatches.decisions import Split
from mailroom.domain.dispatches.doubts import Doubt, Timing, Unaskable
from mailroom.domain.dispatches.model import FAILS_AFTER_CRASHES
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.model import OnDoubt
from mailroom.domain.ids import DispatchId, Lane
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.outcomes import record_accepted
from mailroom.services.dispatching.propagation import finish_runs, propagate_states
from mailroom.storage import lanes
from mailroom.storage.database import Session, in_transaction, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.dispatches import elsewhere as dispatch_elsewhere
from mailroom.storage.dispatches import splits as dispatch_splits
from mailroom.storage.dispatches.elsewhere import Departure
from mailroom.storage.guard import LaneGuard
from mailroom.storage.messages import marks as message_marks
from mailroom.watching.sending import doubt_settled

log = structlog.get_logger()
_SEEN_IN_PART: Final = "the provider's log shows a part of it"
_CONTRADICTED: Final = "the provider's log, its events, the fence and the recipients stored here do not agree"
_SLOTS: Final = 30  # controls stored for each settling time


@dataclass(frozen=True, slots=True)
class Policy:
    """The timing of the provider's log, the delays between attempts, and the rule for a provider that has no log."""

    timing: Timing
    delays: Delays
    unaskable: Unaskable = Unaskable.HOLD

    @property
    def slot(self) -> timedelta:
        """The span for which a single control is enough; at least a second."""
        return max(self.timing.settle / _SLOTS, timedelta(seconds=1))


def write(work: LaneWork, findings: Findings, policy: Policy) -> None:
    """Write the facts, then all decisions in one transaction. May be repeated. Raises StaleToken, Unavailable."""
    db = work.db
    now = server_now(db)
    record_accepted(db, work.fences, findings.accepted, now=now)
    message_marks.mark_some_sent(db, findings.seen, at=now)
    doubts = [*findings.not_accepted, *findings.left_unknown]
    doubts += [split.doubt for split in findings.in_parts]
    for dispatch, _ in findings.accepted:
        log.info("doubt_settled", dispatch_id=dispatch.id, verdict="accepted")
    for doubt in doubts:
        log.info("doubt_settled", dispatch_id=doubt.dispatch.id, verdict=verdict_of(findings, doubt))
    doubt_settled("accepted", len(findings.accepted))
    touched = [dispatch.id for dispatch, _ in findings.accepted]
    if doubts:
        touched += _decide(work, findings, {doubt.dispatch.claim.lane for doubt in doubts}, policy, now)
        doubt_settled("not_accepted", len(findings.not_accepted))
        doubt_settled("unknown", len(findings.left_unknown))
        doubt_settled("in_parts", len(findings.in_parts))
    propagate_states(db, touched)
    finish_runs(db, [d.run_id for d, _ in findings.accepted] + [d.dispatch.run_id for d in doubts], now=now)


def _decide(
    work: LaneWork, findings: Findings, of: Collection[Lane], policy: Policy, now: datetime
) -> list[DispatchId]:
    """Write the decisions in one transaction under the lanes' tokens. Returns the dispatches whose states must be
    copied to their messages."""
    db, sender = work.db, work.sender

    def decide(session: Session) -> list[DispatchId]:
        changed = [doubt.dispatch.id for doubt in [*findings.not_accepted, *findings.left_unknown]]
        with lanes.under(db, {lane: work.held[lane] for lane in of}, session) as guard:
            changed += _conclude_not_accepted(work, findings.not_accepted, policy, now, guard)
            changed += _conclude_unknown(work, findings.unknown, findings.why_unknown, now, guard)
            changed += _conclude_unknown(work, findings.contradicted, _CONTRADICTED, now, guard)
            changed += _conclude_unknown(work, findings.seen_in_part, _SEEN_IN_PART, now, guard)
            for in_parts in findings.in_parts:
                wanted = Split(in_parts.doubt.dispatch, in_parts.parts, sender, _SEEN_IN_PART)
                changed += dispatch_splits.split(db, wanted, DispatchState.IN_DOUBT, now=now, guard=guard)
        return changed

    return in_transaction(db, decide)


def _conclude_not_accepted(
    work: LaneWork, doubts: Sequence[Doubt], policy: Policy, now: datetime, guard: LaneGuard
) -> list[DispatchId]:
    """The calls were not accepted. A mail that went elsewhere goes on there; one that may, goes on there from now on.
    Returns the dispatches that carry mails on."""
    db, by = work.db, work.sender
    at = {doubt.dispatch.id: retry_at(doubt, policy.delays, now=now) for doubt in doubts}
    leaving = [doubt for doubt in doubts if _carries_on(doubt, at[doubt.dispatch.id])]
    staying = [doubt for doubt in doubts if not doubt.moved and doubt not in leaving]
    retries = [(doubt, at[doubt.dispatch.id]) for doubt in staying]
    dispatch_doubts.conclude_not_accepted(db, retries, by=by, now=now, guard=guard)
    for doubt in leaving:
        departure = _new_attempt(doubt, at[doubt.dispatch.id])
        dispatch_elsewhere.carry_on(db, doubt, departure, by=by, now=now, guard=guard)
    moved = [doubt for doubt in doubts if doubt.moved]
    return dispatch_elsewhere.end_first(db, moved, by=by, now=now, guard=guard)


def _carries_on(doubt: Doubt, retry: datetime | None) -> bool:
    """True if the new attempt of this dispatch is made by its dispatch elsewhere."""
    may = doubt.dispatch.on_doubt is OnDoubt.ELSEWHERE and not doubt.moved
    return may and retry is not None and doubt.dispatch.crashes < FAILS_AFTER_CRASHES


def _new_attempt(doubt: Doubt, retry: datetime | None) -> Departure:
    tries = doubt.dispatch.tries + doubt.used_a_try
    return Departure(doubt.dispatch.id, doubt.dispatch.attempt, tries=tries, not_before=retry)


def _conclude_unknown(
    work: LaneWork, doubts: Sequence[Doubt], why: str, now: datetime, guard: LaneGuard
) -> list[DispatchId]:
    """Nobody can know about these calls. Returns the dispatches that carry their mails on."""
    dispatch_doubts.conclude_unknown(work.db, doubts, why, by=work.sender, now=now, guard=guard)
    moved = [doubt for doubt in doubts if doubt.moved]
    return dispatch_elsewhere.first_is_unknown(work.db, moved, guard=guard)
