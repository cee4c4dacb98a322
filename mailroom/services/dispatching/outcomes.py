"""Record the outcomes of calls: facts always, decisions under the lane's token. Step 5 of the protocol, in bulk.

Every function here may be repeated after a failure: each write is bound to the claim or to the fact itself.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane, MessageId, Token
from mailroom.domain.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.domain.retries import Delays, TryAgain, after_refusal
from mailroom.services.dispatching.propagation import propagate_states
from mailroom.services.dispatching.rejections import record_refusals
from mailroom.storage import suppressions
from mailroom.storage.database import Db, in_transaction
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches import splits as dispatch_splits
from mailroom.storage.dispatches.splits import DispatchPart, Split
from mailroom.storage.messages import document as messages
from mailroom.storage.messages import marks as message_marks

log = structlog.get_logger()


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
    refusals = [(r.claimed, r.outcome) for r in results if isinstance(r.outcome, Refused)]
    _record_facts(db, fences, results, now=now)
    for r in results:
        if isinstance(r.outcome, InPart):
            _record_in_part(db, r.claimed, r.outcome, delays=delays, now=now)
    stale, called_before = record_refusals(db, fences, refusals, delays=delays, now=now, elsewhere=elsewhere)
    _record_facts(db, fences, [Result(claimed, before) for claimed, before in called_before], now=now)
    propagate_states(db, [claimed.id for claimed, _ in refusals])
    return stale


def _record_facts(db: Db, fences: Fences, results: Sequence[Result], *, now: datetime) -> None:
    """What was accepted, and what may have been."""
    accepted = [(r.claimed, _acceptance(r.claimed, r.outcome)) for r in results if isinstance(r.outcome, Accepted)]
    doubts = [(r.claimed, r.outcome) for r in results if isinstance(r.outcome, InDoubt)]
    record_accepted(db, fences, accepted, now=now)
    for claimed, doubt in doubts:
        log.warning("dispatch_in_doubt", dispatch_id=claimed.id, attempt=claimed.attempt, reason=doubt.reason)
    dispatch_outcomes.record_in_doubt(db, doubts, now=now)
    propagate_states(db, [claimed.id for claimed, _ in doubts])


def _acceptance(claimed: Claimed, yes: Accepted) -> Acceptance:
    return Acceptance(yes.provider or claimed.provider, yes.provider_id, yes.attempt or claimed.attempt)


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
    message_marks.mark_sent(db, [claimed.id for claimed, _ in accepted], at=now)
    again = dispatch_outcomes.record_accepted(db, accepted, now=now)
    for dispatch in {*twice, *again}:
        log.error("accepted_twice", dispatch_id=dispatch)


def _record_in_part(db: Db, claimed: Claimed, outcome: InPart, *, delays: Delays, now: datetime) -> None:
    """The provider judged each recipient by itself. Its yes is a fact; each no goes on, or ends, by itself.

    Bound to this very claim, whoever holds the lane by now: nobody else can know this, not even its fence, which stays
    crossed. Who finds it so, in an older copy of MongoDB, is in doubt.
    """
    addresses = messages.addresses_of(db, [claimed.id])[claimed.id]
    refused = {fold(address): why for address, why in outcome.refused.items()}
    accepted = sorted(id_ for id_, address in addresses.items() if fold(address) not in refused)
    message_marks.mark_some_sent(db, accepted, at=now)
    yes = Acceptance(claimed.provider, outcome.provider_id, claimed.attempt)
    parts = [DispatchPart(accepted, DispatchState.ACCEPTED, [yes])] if accepted else []
    for why, ids in _together((id_, why) for id_, a in sorted(addresses.items()) if (why := refused.get(fold(a)))):
        parts.append(_part_refused(ids, why, claimed, delays, now))
    suppressions.add_bounced(
        db, [fold(a) for a in addresses.values() if (w := refused.get(fold(a))) and w.hard], at=now
    )

    wanted = Split(claimed, parts, claimed.claim.sender, "some of its recipients were refused")
    made = in_transaction(db, lambda session: dispatch_splits.split_by_answer(db, wanted, now=now, session=session))
    propagate_states(db, made)


def _together(refused: Iterable[tuple[MessageId, Refused]]) -> list[tuple[Refused, list[MessageId]]]:
    """Group the recipients for whom the provider gave no verdict of their own, by refusal; each other recipient stays
    alone."""
    parts: list[tuple[Refused, list[MessageId]]] = []
    left: dict[Refused, list[MessageId]] = {}
    for id_, why in refused:
        if why.kind in (Refusal.NOT_CALLED, Refusal.ACCOUNT) or why.spent:
            left.setdefault(why, []).append(id_)
        else:
            parts.append((why, [id_]))
    return [*parts, *left.items()]


def _part_refused(
    ids: Sequence[MessageId], why: Refused, claimed: Claimed, delays: Delays, now: datetime
) -> DispatchPart:
    next_ = after_refusal(
        why, attempt=claimed.attempt, tries=claimed.tries, messages=1, delays=delays.of(claimed.rank), now=now
    )
    if isinstance(next_, TryAgain):
        tries = claimed.tries + next_.uses_a_try
        return DispatchPart(ids, DispatchState.PENDING, (), next_.not_before, tries, why.reason, why.code)
    return DispatchPart(ids, DispatchState.FAILED, (), None, claimed.tries + 1, why.reason, why.code)
