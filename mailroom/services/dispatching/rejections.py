"""What was refused for sure goes back to wait, goes on in parts, or fails: decided under the lane's token, in bulk."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import structlog

from mailroom.coordination.fences import FenceAnswer, Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import Lane, Token
from mailroom.domain.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.domain.retries import Delays, Divide, GiveUp, TryAgain, after_refusal
from mailroom.services.dispatching.fences import known_before
from mailroom.services.dispatching.splits import Division, divide
from mailroom.storage import lanes, suppressions
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches.outcomes import Return
from mailroom.storage.messages import document as messages

log = structlog.get_logger()
CalledBefore = tuple[Claimed, Accepted | InDoubt]


def record_refusals(
    db: Db,
    fences: Fences,
    refusals: Sequence[tuple[Claimed, Refused]],
    *,
    delays: Delays,
    now: datetime,
    elsewhere: Callable[[str], bool],
) -> tuple[dict[Lane, Token], list[CalledBefore]]:
    """Release fences before MongoDB is written, so that a take-over finds them released.

    Returns (lanes lost to a newer holder, dispatches whose fence shows an earlier call; these are not failed).
    """
    free = {provider for provider in {c.provider for c, _ in refusals} if elsewhere(provider)}
    decided = [(c, refused, _after(c, refused, delays, now, elsewhere=c.provider in free)) for c, refused in refusals]
    divisions = [
        (c, Division(c, refused.reason, n.most, refused.kind is not Refusal.TOO_MANY))
        for c, refused, n in decided
        if isinstance(n, Divide)
    ]
    rest = [each for each in decided if not isinstance(each[2], Divide)]
    stale: dict[Lane, Token] = {}
    called_before: list[CalledBefore] = []

    def divide_these(group: Sequence[tuple[Claimed, Division]]) -> None:
        called_before.extend(_divide(db, fences, [division for _, division in group]))

    _without_stale(divisions, stale, divide_these)
    verdicts = fences.release([c for c, _, _ in rest])
    stands = [(each, _before_giving_up(each, verdict)) for each, verdict in zip(rest, verdicts, strict=True)]
    called_before += [(each[0], before) for each, before in stands if before]
    rest = [each for each, before in stands if not before]
    left = _without_stale(rest, stale, lambda group: _decide(db, group, now=now))
    _suppress_hard(db, left, now=now)
    _make_lanes_wait(db, [each for each in left if each[0].provider not in free])
    return stale, called_before


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


def _divide(db: Db, fences: Fences, group: Sequence[Division]) -> list[CalledBefore]:
    claims = [division.claimed.claim for division in group]
    left = divide(db, fences, group, {claim.lane: claim.token for claim in claims}, by=claims[0].sender)
    return [(claimed, before) for claimed, verdict in left if (before := known_before(verdict))]


Decided = tuple[Claimed, Refused, TryAgain | Divide | GiveUp]


def _after(
    claimed: Claimed, refused: Refused, delays: Delays, now: datetime, *, elsewhere: bool
) -> TryAgain | Divide | GiveUp:
    if elsewhere and refused.kind is Refusal.ACCOUNT and not refused.is_brief:
        return TryAgain(now, uses_a_try=False)
    return after_refusal(
        refused,
        attempt=claimed.attempt,
        tries=claimed.tries,
        messages=claimed.messages,
        delays=delays.of(claimed.rank),
        now=now,
    )


def _before_giving_up(decided: Decided, verdict: FenceAnswer | None) -> Accepted | InDoubt | None:
    """What the fence knows of another call of what is to fail now; what is tried again comes to its fence by itself."""
    return known_before(verdict) if verdict and isinstance(decided[2], GiveUp) else None


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
        with lanes.under(db, tokens, session) as guard:
            dispatch_outcomes.return_to_pending(db, returns, now=now, guard=guard)
            dispatch_outcomes.fail(db, failures, now=now, guard=guard)

    in_transaction(db, work)


def _suppress_hard(db: Db, group: Sequence[Decided], *, now: datetime) -> None:
    """A single address that the provider says takes no mail gets nothing more."""
    hard = [claimed.id for claimed, refused, _ in group if refused.hard and claimed.messages == 1]
    found = messages.addresses_of(db, hard) if hard else {}
    suppressions.add_bounced(db, [fold(a) for each in found.values() for a in each.values()], at=now)


def _make_lanes_wait(db: Db, group: Sequence[Decided]) -> None:
    waits: dict[Lane, tuple[Token, datetime, str]] = {}
    for claimed, refused, next_ in group:
        if refused.kind is Refusal.ACCOUNT and not refused.is_brief and isinstance(next_, TryAgain):
            waits[claimed.claim.lane] = (claimed.claim.token, next_.not_before, refused.reason)
            log.error("provider_refuses_the_account", lane=claimed.claim.lane, reason=refused.reason, code=refused.code)
    lanes.make_wait(db, waits)
