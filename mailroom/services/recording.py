"""What came of calls is written down: facts always, decisions under the lane's token. Step 5 of the protocol, in bulk.

Every function here may be repeated after a failure: each write is bound to the claim or to the fact itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches import TELLS_MESSAGES, Acceptance, Claimed, DispatchState
from mailroom.domain.errors import StaleToken, Unavailable
from mailroom.domain.ids import DispatchId, Lane, RunId, Token
from mailroom.domain.messages import Learnt
from mailroom.domain.outcomes import Accepted, InDoubt, Outcome, Refusal, Refused
from mailroom.domain.retries import GiveUp, TryAgain, after_refusal
from mailroom.storage import dispatch_outcomes, dispatches, lanes, messages, runs
from mailroom.storage.database import Db, Session, in_transaction

log = structlog.get_logger()
TELL_A_STEP: Final = 200
FINISH_A_STEP: Final = 500


@dataclass(frozen=True, slots=True)
class Result:
    """One call, or one that was not made, and what came of it."""

    claimed: Claimed
    outcome: Outcome


def record(
    db: Db, fences: Fences, results: Sequence[Result], *, provider: str, delays: Sequence[timedelta], now: datetime
) -> dict[Lane, Token]:
    """Write down what came of these calls. Returns lanes that a newer holder has, with our stale tokens.

    Facts come first, so that no refusal's trouble holds them up. Raises Unavailable: nothing is lost by calling again
    with the same results.
    """
    accepted = [
        (r.claimed, Acceptance(provider, r.outcome.provider_id, r.outcome.attempt or r.claimed.attempt))
        for r in results
        if isinstance(r.outcome, Accepted)
    ]
    doubts = [(r.claimed, r.outcome) for r in results if isinstance(r.outcome, InDoubt)]
    refusals = [(r.claimed, r.outcome) for r in results if isinstance(r.outcome, Refused)]
    record_accepted(db, fences, accepted, now=now)
    for claimed, doubt in doubts:
        log.warning("dispatch_in_doubt", dispatch_id=claimed.id, attempt=claimed.attempt, reason=doubt.reason)
    dispatch_outcomes.record_in_doubt(db, [(c, d.reason, d.code) for c, d in doubts], now=now)
    tell_these(db, [r.claimed.id for r in results if not isinstance(r.outcome, Refused)])
    stale = _record_refusals(db, fences, refusals, delays=delays, now=now)
    tell_these(db, [claimed.id for claimed, _ in refusals])
    finish_runs(db, [r.claimed.run_id for r in results], now=now)
    return stale


def record_accepted(db: Db, fences: Fences, accepted: Sequence[tuple[Claimed, Acceptance]], *, now: datetime) -> None:
    """Facts: the fence first, which a take-over reads, then MongoDB. Without Redis, MongoDB alone: always written."""
    if not accepted:
        return
    try:
        twice = fences.close(accepted)
    except Unavailable as error:
        twice = {}
        log.warning("fence_not_closed", count=len(accepted), error=str(error))
    again = dispatch_outcomes.record_accepted(db, accepted, now=now)
    for dispatch in {*twice, *again}:
        log.error("accepted_twice", dispatch_id=dispatch)


def tell_these(db: Db, ids: Sequence[DispatchId]) -> None:
    """Let the messages of these dispatches know what became of them, where they do not yet."""
    _tell(db, dispatch_outcomes.to_tell_of(db, ids))


def tell_left_over(db: Db) -> int:
    """Tell messages whose dispatch was written by somebody who did not come to tell them. Returns how many."""
    left = dispatch_outcomes.to_tell(db, limit=TELL_A_STEP)
    _tell(db, left)
    return len(left)


def finish_runs(db: Db, run_ids: Sequence[RunId], *, now: datetime) -> int:
    """Finish those of the runs that have no open dispatch. Returns how many."""
    asked = list(dict.fromkeys(run_ids))
    if not asked:
        return 0
    still_open = dispatches.runs_with_open(db, asked)
    through = [run for run in asked if run not in still_open]
    return runs.finish(db, through, now=now) if through else 0


def finish_left_over(db: Db, *, now: datetime) -> int:
    """Finish every planned run that is through but was not finished: one that had nobody to mail to, or whose last
    outcome was written just before a crash. Returns how many."""
    finished, after = 0, RunId("")
    while page := runs.planned_after(db, after, limit=FINISH_A_STEP):
        finished += finish_runs(db, page, now=now)
        after = page[-1]
    return finished


def _record_refusals(
    db: Db,
    fences: Fences,
    refusals: Sequence[tuple[Claimed, Refused]],
    *,
    delays: Sequence[timedelta],
    now: datetime,
) -> dict[Lane, Token]:
    """Decisions: the fences are released first, so that whoever takes over finds them so."""
    if not refusals:
        return {}
    fences.release([claimed for claimed, _ in refusals])
    stale: dict[Lane, Token] = {}
    remaining = list(refusals)
    while remaining:
        try:
            _decide(db, remaining, delays=delays, now=now)
        except StaleToken as error:
            # Its newer holder reads the released fence and decides; the others are still ours.
            stale[Lane(error.lane)] = Token(error.token)
            remaining = [pair for pair in remaining if pair[0].claim.lane != error.lane]
            continue
        break
    _make_lanes_wait(db, remaining, now)
    return stale


def _decide(db: Db, refusals: Sequence[tuple[Claimed, Refused]], *, delays: Sequence[timedelta], now: datetime) -> None:
    tokens: dict[Lane, Token] = {claimed.claim.lane: claimed.claim.token for claimed, _ in refusals}
    returns, failures = [], []
    for claimed, refused in refusals:
        match after_refusal(refused, attempt=claimed.attempt, tries=claimed.tries, delays=delays, now=now):
            case TryAgain(not_before, uses_a_try):
                returns.append((claimed, not_before, uses_a_try, refused.reason, refused.code))
            case GiveUp():
                failures.append((claimed, refused.reason, refused.code))
                log.warning("dispatch_failed", dispatch_id=claimed.id, reason=refused.reason, code=refused.code)

    def work(session: Session) -> None:
        lanes.touch(db, tokens, session)
        dispatch_outcomes.return_to_pending(db, returns, now=now, session=session)
        dispatch_outcomes.fail(db, failures, now=now, session=session)

    in_transaction(db, work)


def _make_lanes_wait(db: Db, refusals: Sequence[tuple[Claimed, Refused]], now: datetime) -> None:
    waits: dict[Lane, tuple[Token, datetime, str]] = {}
    for claimed, refused in refusals:
        decided = after_refusal(refused, attempt=1, tries=0, delays=(), now=now)
        if refused.kind is Refusal.ACCOUNT and isinstance(decided, TryAgain):
            waits[claimed.claim.lane] = (claimed.claim.token, decided.not_before, refused.reason)
            log.error("provider_refuses_the_account", lane=claimed.claim.lane, reason=refused.reason, code=refused.code)
    lanes.make_wait(db, waits)


def _tell(db: Db, documents: Sequence[Mapping[str, Any]]) -> None:
    marks = []
    for doc in documents:
        learnt = TELLS_MESSAGES.get(DispatchState(doc["state"]))
        if learnt is not None:
            at = doc["accepted"][0]["at"] if learnt is Learnt.SENT else doc["created_at"]
            marks.append((DispatchId(doc["_id"]), learnt, at, doc.get("reason") or ""))
    messages.mark(db, marks)
    dispatch_outcomes.told(db, {DispatchId(doc["_id"]): DispatchState(doc["state"]) for doc in documents})
