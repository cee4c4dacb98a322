"""Record the outcomes of calls: facts always, decisions under the lane's token. Step 5 of the protocol, in bulk.

Every function here may be repeated after a failure: each write is conditional on the claim or on the fact itself.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.decisions import DispatchPart, Split, decide_refused_part
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import Accepted, CallResult, InDoubt, InPart, Refusal, Refused
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import DispatchId, Lane, MessageId, Token
from mailroom.services.dispatching.propagation import propagate_states
from mailroom.services.dispatching.rejections import Rejected, record_refusals
from mailroom.services.dispatching.second_acceptances import alarm
from mailroom.storage import suppressions
from mailroom.storage.database import Db, in_transaction
from mailroom.storage.dispatches import acceptances
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches import splits as dispatch_splits
from mailroom.storage.messages import document as messages
from mailroom.storage.messages import marks as message_marks

log = structlog.get_logger()
_SHOWN: Final = 20  # ids in a log line


def record(
    db: Db,
    fences: Fences,
    results: Sequence[CallResult],
    *,
    delays: Delays,
    now: datetime,
    elsewhere: Callable[[str], bool] = lambda _: False,
) -> dict[Lane, Token]:
    """Record the outcomes of calls. Returns the lanes that a newer holder has, with our stale tokens.

    `elsewhere` returns whether another provider can take the dispatches whose account a provider refuses: no lane waits
    then.

    Facts come first, so that an error about a refusal does not delay them. Raises Unavailable: the call may be repeated
    with the same results, and nothing is lost.
    """
    rejected = [Rejected(r.claimed, r.outcome) for r in results if isinstance(r.outcome, Refused)]
    _record_facts(db, fences, results, now=now)
    older = _stored_as_before(db, [r.claimed for r in results if isinstance(r.outcome, InPart)])
    for r in results:
        if isinstance(r.outcome, InPart) and r.claimed.id not in older:
            _record_in_part(db, r.claimed, r.outcome, delays=delays, now=now)
    recorded = record_refusals(db, fences, rejected, delays=delays, now=now, elsewhere=elsewhere)
    _record_facts(db, fences, recorded.called_before, now=now)
    propagate_states(db, [refusal.claimed.id for refusal in rejected])
    return recorded.stale


def _record_facts(db: Db, fences: Fences, results: Sequence[CallResult], *, now: datetime) -> None:
    """Record acceptances and doubts."""
    accepted = [(r.claimed, _acceptance(r.claimed, r.outcome)) for r in results if isinstance(r.outcome, Accepted)]
    doubts = [(r.claimed, r.outcome) for r in results if isinstance(r.outcome, InDoubt)]
    record_accepted(db, fences, accepted, now=now)
    for claimed, doubt in doubts:
        log.warning("dispatch_in_doubt", dispatch_id=claimed.id, attempt=claimed.attempt, reason=doubt.reason)
    dispatch_outcomes.record_in_doubt(db, doubts, now=now)
    propagate_states(db, [claimed.id for claimed, _ in doubts])


def _acceptance(claimed: Claimed, yes: Accepted) -> Acceptance:
    provider, attempt = yes.provider or claimed.provider, yes.attempt or claimed.attempt
    return Acceptance(
        provider, yes.provider_id, attempt, code=yes.code, reason=yes.reason, bounces_read=yes.bounces_read
    )


def record_accepted(db: Db, fences: Fences, accepted: Sequence[tuple[Claimed, Acceptance]], *, now: datetime) -> None:
    """Record acceptances, which are facts, whoever holds the lane. May be repeated.

    The fence comes first, because a take-over reads it, then the messages, and last the dispatch, which ends the work.
    Without Redis they are written to MongoDB alone. In a copy from before a call without some recipients the dispatch
    still has these: there its fence alone keeps the acceptance, for the next claim. Raises Unavailable.
    """
    if not accepted:
        return
    older = _stored_as_before(db, [claimed for claimed, _ in accepted])
    try:
        twice = fences.close(accepted)
    except Unavailable as error:
        if older:
            raise
        twice = []
        log.warning("fence_not_closed", count=len(accepted), error=str(error))
    accepted = [(claimed, yes) for claimed, yes in accepted if claimed.id not in older]
    message_marks.mark_sent(db, [claimed.id for claimed, _ in accepted], at=now)
    again = acceptances.record_accepted(db, accepted, now=now)
    alarm({*twice, *again})


def _stored_as_before(db: Db, claims: Sequence[Claimed]) -> set[DispatchId]:
    older = acceptances.stored_as_before_their_calls(db, [claimed for claimed in claims if claimed.left_out])
    if older:
        log.warning("answer_left_to_its_fence", dispatches=sorted(older)[:_SHOWN], count=len(older))
    return older


def _record_in_part(db: Db, claimed: Claimed, outcome: InPart, *, delays: Delays, now: datetime) -> None:
    """Record an answer in which the provider judged each recipient by itself. The acceptance of a part is a fact; each
    refused recipient goes on, or ends, by itself.

    The write is conditional on this claim, whoever holds the lane now, because no other process can know this answer.
    The fence stays crossed, so in a restored older copy of MongoDB the dispatch is in doubt.
    """
    addresses = messages.addresses_of(db, [claimed.id])[claimed.id]
    # Empty if its mail has gone elsewhere since. The facts about its recipients hold all the same.
    addresses = addresses or messages.addresses_of_first(db, [claimed.id])[claimed.id]
    refused = {fold(address): why for address, why in outcome.refused.items()}
    accepted = sorted(id_ for id_, address in addresses.items() if fold(address) not in refused)
    message_marks.mark_some_sent(db, accepted, at=now)
    yes = Acceptance(
        claimed.provider,
        outcome.provider_id,
        claimed.attempt,
        code=outcome.code,
        reason=outcome.reason,
        bounces_read=outcome.bounces_read,
    )
    parts = [DispatchPart(accepted, DispatchState.ACCEPTED, [yes])] if accepted else []
    for why, ids in _together((id_, why) for id_, a in sorted(addresses.items()) if (why := refused.get(fold(a)))):
        parts.append(decide_refused_part(ids, why, claimed, delays, now=now))
    suppressions.add_bounced(
        db, [fold(a) for a in addresses.values() if (w := refused.get(fold(a))) and w.hard], at=now
    )

    wanted = Split(claimed, parts, claimed.claim.sender, "some of its recipients were refused")
    children = in_transaction(db, lambda session: dispatch_splits.split_by_answer(db, wanted, now=now, session=session))
    propagate_states(db, children)


def _together(refused: Iterable[tuple[MessageId, Refused]]) -> list[tuple[Refused, list[MessageId]]]:
    """Group the recipients without a verdict of their own by refusal; every other recipient stays alone."""
    alone: list[tuple[Refused, list[MessageId]]] = []
    groups: dict[Refused, list[MessageId]] = {}
    for id_, why in refused:
        if why.kind in (Refusal.NOT_CALLED, Refusal.ACCOUNT) or why.spent:
            groups.setdefault(why, []).append(id_)
        else:
            alone.append((why, [id_]))
    return [*alone, *groups.items()]
