"""What came of calls is written down: facts always, decisions under the lane's token. Step 5 of the protocol, in bulk.

Every function here may be repeated after a failure: each write is bound to the claim or to the fact itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches import TELLS_MESSAGES, Acceptance, Claimed, DispatchState
from mailroom.domain.errors import StaleToken, Unavailable
from mailroom.domain.ids import DispatchId, Lane, MessageId, RunId, Token, is_email
from mailroom.domain.messages import Learnt
from mailroom.domain.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.domain.retries import Delays, Divide, GiveUp, TryAgain, after_refusal
from mailroom.services.splitting import Division, divide
from mailroom.storage import dispatch_outcomes, dispatch_splits, dispatches, lanes, messages, runs, suppressions
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatch_outcomes import Return
from mailroom.storage.dispatch_splits import Part

log = structlog.get_logger()
TELL_A_STEP: Final = 200
FINISH_A_STEP: Final = 500


@dataclass(frozen=True, slots=True)
class Result:
    """One call, or one that was not made, and what came of it."""

    claimed: Claimed
    outcome: Outcome


def record(
    db: Db,
    fences: Fences,
    results: Sequence[Result],
    *,
    delays: Delays,
    now: datetime,
    elsewhere: Callable[[str], bool] = lambda _: False,
) -> dict[Lane, Token]:
    """Write down what came of these calls. Returns lanes that a newer holder has, with our stale tokens.

    `elsewhere` says whether what a provider refuses for its account's sake can go by another one: then no lane waits.

    Facts come first, so that no refusal's trouble holds them up. Raises Unavailable: nothing is lost by calling again
    with the same results.
    """
    accepted = [
        (r.claimed, Acceptance(r.claimed.provider, r.outcome.provider_id, r.outcome.attempt or r.claimed.attempt))
        for r in results
        if isinstance(r.outcome, Accepted)
    ]
    doubts = [(r.claimed, r.outcome) for r in results if isinstance(r.outcome, InDoubt)]
    refusals = [(r.claimed, r.outcome) for r in results if isinstance(r.outcome, Refused)]
    record_accepted(db, fences, accepted, now=now)
    for claimed, doubt in doubts:
        log.warning("dispatch_in_doubt", dispatch_id=claimed.id, attempt=claimed.attempt, reason=doubt.reason)
    dispatch_outcomes.record_in_doubt(db, doubts, now=now)
    tell_these(db, [claimed.id for claimed, _ in doubts])
    for r in results:
        if isinstance(r.outcome, InPart):
            _record_in_part(db, r.claimed, r.outcome, delays=delays, now=now)
    stale = _record_refusals(db, fences, refusals, delays=delays, now=now, elsewhere=elsewhere)
    tell_these(db, [claimed.id for claimed, _ in refusals])
    return stale


def record_accepted(db: Db, fences: Fences, accepted: Sequence[tuple[Claimed, Acceptance]], *, now: datetime) -> None:
    """Facts: the fence first, which a take-over reads, then the messages, then the dispatch, which ends it. Without
    Redis, MongoDB alone: always written. May be repeated."""
    if not accepted:
        return
    try:
        twice = fences.close(accepted)
    except Unavailable as error:
        twice = []
        log.warning("fence_not_closed", count=len(accepted), error=str(error))
    messages.mark_sent(db, [claimed.id for claimed, _ in accepted], at=now)
    again = dispatch_outcomes.record_accepted(db, accepted, now=now)
    for dispatch in {*twice, *again}:
        log.error("accepted_twice", dispatch_id=dispatch)


def tell_these(db: Db, ids: Sequence[DispatchId]) -> None:
    """Let the messages of these dispatches know what became of them, where they do not yet."""
    if ids:
        _tell(db, dispatch_outcomes.to_tell_of(db, ids))


def tell_left_over(db: Db) -> int:
    """Tell messages whose dispatch was written by somebody who did not come to tell them. Returns how many."""
    left = dispatch_outcomes.to_tell(db, limit=TELL_A_STEP)
    _tell(db, left)
    return len(left)


def finish_runs(db: Db, run_ids: Sequence[RunId], *, now: datetime) -> int:
    """Finish those of the runs that have no open dispatch. Returns how many."""
    asked = [run for run in dict.fromkeys(run_ids) if not is_email(run)]
    if not asked:
        return 0
    still_open = dispatches.runs_with_open(db, asked)
    through = [run for run in asked if run not in still_open]
    if not through:
        return 0
    finished = runs.finish(db, through, now=now)
    if finished:
        # A person may have had something sent again between the look and the write.
        for run in dispatches.runs_with_open(db, through):
            runs.reopen(db, run)
    return finished


def finish_left_over(db: Db, *, now: datetime) -> int:
    """Finish every planned run that is through but was not finished: one that had nobody to mail to, or whose last
    outcome was written just before a crash. Returns how many."""
    finished, after = 0, RunId("")
    while page := runs.planned_after(db, after, limit=FINISH_A_STEP):
        finished += finish_runs(db, page, now=now)
        after = page[-1]
    return finished


def _record_in_part(db: Db, claimed: Claimed, outcome: InPart, *, delays: Delays, now: datetime) -> None:
    """The provider judged each recipient by itself. Its yes is a fact; each no goes on, or ends, by itself.

    Bound to this very claim, whoever holds the lane by now: nobody else can know this, not even its fence, which stays
    crossed. Who finds it so, in an older copy of MongoDB, is in doubt.
    """
    addresses = messages.addresses_of(db, [claimed.id])[claimed.id]
    refused = {fold(address): why for address, why in outcome.refused.items()}
    accepted = sorted(id_ for id_, address in addresses.items() if fold(address) not in refused)
    messages.mark_some_sent(db, accepted, at=now)
    yes = Acceptance(claimed.provider, outcome.provider_id, claimed.attempt)
    parts = [Part(accepted, DispatchState.ACCEPTED, [yes])] if accepted else []
    for id_, address in sorted(addresses.items()):
        if why := refused.get(fold(address)):
            parts.append(_part_refused(id_, why, claimed, delays, now))
    suppressions.add_bounced(
        db, [fold(a) for a in addresses.values() if (w := refused.get(fold(a))) and w.hard], at=now
    )

    def work(session: Session) -> list[DispatchId]:
        for stands in (DispatchState.SENDING, DispatchState.IN_DOUBT):  # in doubt: somebody took it over meanwhile
            by, why = claimed.claim.sender, "some of its recipients were refused"
            made = dispatch_splits.split(db, claimed, stands, parts, by=by, why=why, now=now, session=session)
            if made:
                return made
        return []

    tell_these(db, in_transaction(db, work))


def _part_refused(id_: MessageId, why: Refused, claimed: Claimed, delays: Delays, now: datetime) -> Part:
    next_ = after_refusal(
        why, attempt=claimed.attempt, tries=claimed.tries, messages=1, delays=delays.of(claimed.rank), now=now
    )
    if isinstance(next_, TryAgain):
        tries = claimed.tries + next_.uses_a_try
        return Part([id_], DispatchState.PENDING, (), next_.not_before, tries, why.reason, why.code)
    return Part([id_], DispatchState.FAILED, (), None, claimed.tries + 1, why.reason, why.code)


def _record_refusals(
    db: Db,
    fences: Fences,
    refusals: Sequence[tuple[Claimed, Refused]],
    *,
    delays: Delays,
    now: datetime,
    elsewhere: Callable[[str], bool],
) -> dict[Lane, Token]:
    """Decisions: the fences go first, so that whoever takes over finds them so."""
    free = {provider for provider in {c.provider for c, _ in refusals} if elsewhere(provider)}
    decided = [(c, refused, _after(c, refused, delays, now, elsewhere=c.provider in free)) for c, refused in refusals]
    divisions = [
        (c, Division(c, refused.reason, n.most, refused.kind is not Refusal.TOO_MANY))
        for c, refused, n in decided
        if isinstance(n, Divide)
    ]
    rest = [each for each in decided if not isinstance(each[2], Divide)]
    stale: dict[Lane, Token] = {}
    _without_stale(divisions, stale, lambda group: _divide(db, fences, [division for _, division in group]))
    fences.release([c for c, _, _ in rest])
    left = _without_stale(rest, stale, lambda group: _decide(db, group, now=now))
    _suppress_hard(db, left, now=now)
    _make_lanes_wait(db, [each for each in left if each[0].provider not in free])
    return stale


Each = TypeVar("Each", bound=tuple[Any, ...])


def _without_stale(
    group: Sequence[Each], stale: dict[Lane, Token], decide: Callable[[Sequence[Each]], None]
) -> Sequence[Each]:
    """Decide about all whose lanes are still ours: a lane's newer holder reads the fence and decides. Returns those."""
    while group:
        try:
            decide(group)
        except StaleToken as error:
            stale[Lane(error.lane)] = Token(error.token)
            group = [each for each in group if each[0].claim.lane != error.lane]
            continue
        break
    return group


def _divide(db: Db, fences: Fences, group: Sequence[Division]) -> None:
    claims = [division.claimed.claim for division in group]
    divide(db, fences, group, {claim.lane: claim.token for claim in claims}, by=claims[0].sender)


Decided = tuple[Claimed, Refused, TryAgain | Divide | GiveUp]


def _after(
    claimed: Claimed, refused: Refused, delays: Delays, now: datetime, *, elsewhere: bool
) -> TryAgain | Divide | GiveUp:
    if elsewhere and refused.kind is Refusal.ACCOUNT:
        return TryAgain(now, uses_a_try=False)
    return after_refusal(
        refused,
        attempt=claimed.attempt,
        tries=claimed.tries,
        messages=claimed.messages,
        delays=delays.of(claimed.rank),
        now=now,
    )


def _decide(db: Db, group: Sequence[Decided], *, now: datetime) -> None:
    tokens: dict[Lane, Token] = {claimed.claim.lane: claimed.claim.token for claimed, _, _ in group}
    returns, failures = [], []
    for claimed, refused, next_ in group:
        if isinstance(next_, TryAgain):
            returns.append(Return(claimed, next_.not_before, refused.reason, refused.code, next_.uses_a_try))
        else:
            failures.append((claimed, refused.reason, refused.code))
            log.warning("dispatch_failed", dispatch_id=claimed.id, reason=refused.reason, code=refused.code)

    def work(session: Session) -> None:
        lanes.touch(db, tokens, session)
        dispatch_outcomes.return_to_pending(db, returns, now=now, session=session)
        dispatch_outcomes.fail(db, failures, now=now, session=session)

    in_transaction(db, work)


def _suppress_hard(db: Db, group: Sequence[Decided], *, now: datetime) -> None:
    """A single address that the provider says takes no mail gets nothing more."""
    hard = [claimed.id for claimed, refused, _ in group if refused.hard and claimed.messages == 1]
    found = messages.addresses_of(db, hard) if hard else {}
    suppressions.add_bounced(db, [fold(a) for each in found.values() for a in each.values()], at=now)


def _make_lanes_wait(db: Db, group: Sequence[Decided]) -> None:
    waits: dict[Lane, tuple[Token, datetime, str]] = {}
    for claimed, refused, next_ in group:
        if refused.kind is Refusal.ACCOUNT and isinstance(next_, TryAgain):
            waits[claimed.claim.lane] = (claimed.claim.token, next_.not_before, refused.reason)
            log.error("provider_refuses_the_account", lane=claimed.claim.lane, reason=refused.reason, code=refused.code)
    lanes.make_wait(db, waits)


def _tell(db: Db, documents: Sequence[Mapping[str, Any]]) -> None:
    marks = []
    for doc in documents:
        learnt = TELLS_MESSAGES.get(DispatchState(doc["state"]))
        if learnt is Learnt.SENT:
            messages.mark_sent(db, [DispatchId(doc["_id"])], at=doc["accepted"][0]["at"])
        elif learnt is not None:
            marks.append((DispatchId(doc["_id"]), learnt, doc.get("reason") or "", doc.get("code")))
    messages.mark(db, marks)
    dispatch_outcomes.told(db, {DispatchId(doc["_id"]): DispatchState(doc["state"]) for doc in documents})
