"""Record refusals: each dispatch returns to pending, is divided, or fails. Decided under the lane's token, in bulk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.decisions import Division, Failure, Return, decide_refusal
from mailroom.domain.dispatches.fences import known_before
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import CallResult, Refusal, Refused
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import Lane, Token
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.splits import divide
from mailroom.storage import lanes, suppressions
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.messages import document as messages

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A dispatch that was certainly refused, and the refusal."""

    claimed: Claimed
    refused: Refused


@dataclass(frozen=True, slots=True)
class RecordedRefusals:
    """`stale`: lanes that a newer holder has, with our tokens. `called_before`: dispatches whose fences show an earlier
    call; these are neither failed nor divided."""

    stale: dict[Lane, Token] = field(default_factory=dict)
    called_before: list[CallResult] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A refusal, and the decision that follows it."""

    refused: Refused
    decision: Return | Failure | Division

    @property
    def claimed(self) -> Claimed:
        return self.decision.claimed


def record_refusals(
    db: Db,
    fences: Fences,
    rejected: Sequence[Rejected],
    *,
    delays: Delays,
    now: datetime,
    elsewhere: Callable[[str], bool],
) -> RecordedRefusals:
    """Decide and record these refusals. `elsewhere`: whether a provider has an alternative. Raises Unavailable.

    Fences are released before MongoDB is written, so that a take-over sees them released.
    """
    with_alternative = {provider for provider in {r.claimed.provider for r in rejected} if elsewhere(provider)}
    decided = [
        _Decided(
            r.refused,
            decide_refusal(r.claimed, r.refused, delays, now=now, elsewhere=r.claimed.provider in with_alternative),
        )
        for r in rejected
    ]
    recorded = RecordedRefusals()
    _divide(db, fences, [d for d in decided if isinstance(d.decision, Division)], recorded)
    undivided = [d for d in decided if not isinstance(d.decision, Division)]
    released = _release(fences, undivided, recorded)
    ours = _without_stale(released, recorded.stale, lambda group: _write(db, group, now=now))
    _suppress_hard(db, ours, now=now)
    _make_lanes_wait(db, [each for each in ours if each.claimed.provider not in with_alternative])
    return recorded


def _without_stale(
    group: Sequence[_Decided], stale: dict[Lane, Token], decide: Callable[[Sequence[_Decided]], None]
) -> Sequence[_Decided]:
    """Call `decide` with the refusals whose lanes are still ours, and return them. Notes stale lanes in `stale`: their
    newer holders read the fences and decide."""
    while group:
        try:
            decide(group)
        except StaleToken as error:
            stale[Lane(error.lane)] = Token(error.token)
            group = [each for each in group if each.claimed.claim.lane != error.lane]
            continue
        break
    return group


def _divide(db: Db, fences: Fences, group: Sequence[_Decided], recorded: RecordedRefusals) -> None:
    def divide_these(ours: Sequence[_Decided]) -> None:
        divisions = [each.decision for each in ours if isinstance(each.decision, Division)]
        tokens = {each.claimed.claim.lane: each.claimed.claim.token for each in ours}
        work = LaneWork(db, fences, tokens, ours[0].claimed.claim.sender)
        recorded.called_before.extend(divide(work, divisions))

    _without_stale(group, recorded.stale, divide_these)


def _release(fences: Fences, group: Sequence[_Decided], recorded: RecordedRefusals) -> list[_Decided]:
    """Release the fences of these dispatches. Returns those whose decision may be written.

    A dispatch that would fail, but whose fence shows an earlier call, is recorded as called before. A dispatch that is
    retried meets its fence again at its next attempt.
    """
    released: list[_Decided] = []
    answers = fences.release([each.claimed for each in group])
    for each, answer in zip(group, answers, strict=True):
        before = known_before(answer) if answer and isinstance(each.decision, Failure) else None
        if before:
            recorded.called_before.append(CallResult(each.claimed, before))
        else:
            released.append(each)
    return released


def _write(db: Db, group: Sequence[_Decided], *, now: datetime) -> None:
    tokens: dict[Lane, Token] = {each.claimed.claim.lane: each.claimed.claim.token for each in group}
    returns = [each.decision for each in group if isinstance(each.decision, Return)]
    failures = [each.decision for each in group if isinstance(each.decision, Failure)]
    for failure in failures:
        log.warning("dispatch_failed", dispatch_id=failure.claimed.id, reason=failure.reason, code=failure.code)

    def work(session: Session) -> None:
        with lanes.under(db, tokens, session) as guard:
            dispatch_outcomes.return_to_pending(db, returns, now=now, guard=guard)
            dispatch_outcomes.fail(db, failures, now=now, guard=guard)

    in_transaction(db, work)


def _suppress_hard(db: Db, group: Sequence[_Decided], *, now: datetime) -> None:
    """Suppress the address of a dispatch with a single recipient that the provider refused as undeliverable."""
    hard = [each.claimed.id for each in group if each.refused.hard and each.claimed.messages == 1]
    addresses = messages.addresses_of(db, hard) if hard else {}
    suppressions.add_bounced(
        db, [fold(address) for of_dispatch in addresses.values() for address in of_dispatch.values()], at=now
    )


def _make_lanes_wait(db: Db, group: Sequence[_Decided]) -> None:
    waits: dict[Lane, tuple[Token, datetime, str]] = {}
    for each in group:
        claim, refused, decision = each.claimed.claim, each.refused, each.decision
        if refused.kind is Refusal.ACCOUNT and not refused.is_brief and isinstance(decision, Return):
            waits[claim.lane] = (claim.token, decision.not_before, refused.reason)
            log.error("provider_refuses_the_account", lane=claim.lane, reason=refused.reason, code=refused.code)
    lanes.make_wait(db, waits)
