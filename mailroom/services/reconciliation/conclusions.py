"""What is known of doubts by now, sorted by what follows from it, and written down.

Facts are written whatever the lane's token is; decisions only under it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.doubts import AbsenceVerdict, Doubt, Timing, Traces, Unaskable
from mailroom.domain.ids import DispatchId, Lane, MessageId, Token
from mailroom.domain.retries import Delays
from mailroom.services.dispatching.outcomes import record_accepted
from mailroom.services.dispatching.propagation import finish_runs, propagate_states
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.dispatches import splits as dispatch_splits
from mailroom.storage.dispatches.splits import DispatchPart, Split
from mailroom.storage.messages import marks as message_marks

log = structlog.get_logger()
_SLOTS: Final = 30  # controls kept for each settling time


@dataclass(frozen=True, slots=True)
class Policy:
    """How the provider's log behaves, and how often a call is tried."""

    timing: Timing
    delays: Delays
    unaskable: Unaskable = Unaskable.HOLD

    @property
    def slot(self) -> timedelta:
        """One control for each of these spans is enough."""
        return max(self.timing.settle / _SLOTS, timedelta(seconds=1))


@dataclass(slots=True)
class Findings:
    """What one answer showed, sorted by what is to be written."""

    accepted: list[tuple[Claimed, Acceptance]] = field(default_factory=list)
    seen: list[MessageId] = field(default_factory=list)
    not_accepted: list[Doubt] = field(default_factory=list)
    unknown: list[Doubt] = field(default_factory=list)
    why_unknown: str = "the provider's log does not go back to this call any more"
    in_parts: list[tuple[Doubt, list[DispatchPart]]] = field(default_factory=list)


def sort_in(
    findings: Findings,
    doubt: Doubt,
    expected: Mapping[MessageId, str],
    traces: Traces,
    verdict: AbsenceVerdict,
    log_name: str,
) -> None:
    """Sort one doubt in: `expected` are its recipients, `verdict` is about those of whom there is no trace."""
    dispatch = doubt.dispatch
    seen = [id_ for id_, address in expected.items() if fold(address) in traces.seen]
    rest = [id_ for id_, address in expected.items() if fold(address) not in traces.seen]
    attempts = {attempt or dispatch.attempt: log_name for attempt in traces.accepted}
    yes = [Acceptance(dispatch.provider, id_, attempt, found=True) for attempt, id_ in attempts.items()]
    if seen and not rest:
        findings.accepted += [(dispatch, each) for each in yes]
        return
    findings.seen += seen
    foreign = traces.seen - {fold(address) for address in expected.values()}
    if verdict is AbsenceVerdict.NOT_ACCEPTED and (foreign or (traces.accepted and not seen)):
        # The log shows this call, to somebody else than we say, or to nobody: it is not for us to repeat it.
        verdict = AbsenceVerdict.UNKNOWN
    if verdict is AbsenceVerdict.NOT_ACCEPTED and doubt.final:
        verdict = AbsenceVerdict.UNKNOWN  # it would find its fence so each time
    if verdict is AbsenceVerdict.ASK_AGAIN:
        return
    if seen:
        state = DispatchState.PENDING if verdict is AbsenceVerdict.NOT_ACCEPTED else DispatchState.UNKNOWN
        parts = [DispatchPart(sorted(seen), DispatchState.ACCEPTED, yes), DispatchPart(sorted(rest), state)]
        findings.in_parts.append((doubt, parts))
    elif verdict is AbsenceVerdict.NOT_ACCEPTED:
        findings.not_accepted.append(doubt)
    else:
        findings.unknown.append(doubt)


def write(
    db: Db, fences: Fences, findings: Findings, held: Mapping[Lane, Token], policy: Policy, *, sender: str
) -> None:
    """Facts first, then all decisions in one transaction. Raises StaleToken, Unavailable."""
    now = server_now(db)
    record_accepted(db, fences, findings.accepted, now=now)
    message_marks.mark_some_sent(db, findings.seen, at=now)
    doubts = [*findings.not_accepted, *findings.unknown, *(doubt for doubt, _ in findings.in_parts)]
    for dispatch, _ in findings.accepted:
        log.info("doubt_settled", dispatch_id=dispatch.id, verdict="accepted")
    for doubt in doubts:
        log.info("doubt_settled", dispatch_id=doubt.dispatch.id, verdict=_word(findings, doubt))
    touched = [dispatch.id for dispatch, _ in findings.accepted]
    if doubts:
        touched += _decide(
            db, findings, {d.dispatch.claim.lane: held[d.dispatch.claim.lane] for d in doubts}, policy, sender, now
        )
    propagate_states(db, touched)
    finish_runs(db, [d.run_id for d, _ in findings.accepted] + [d.dispatch.run_id for d in doubts], now=now)


def _decide(
    db: Db, findings: Findings, tokens: Mapping[Lane, Token], policy: Policy, sender: str, now: datetime
) -> list[DispatchId]:
    """Write the decisions in one transaction under the lanes' tokens. Returns what messages must be told of."""

    def work(session: Session) -> list[DispatchId]:
        again = [(doubt, _try_again_at(doubt, policy, now)) for doubt in findings.not_accepted]
        made = [doubt.dispatch.id for doubt in [*findings.not_accepted, *findings.unknown]]
        with lanes.under(db, tokens, session) as guard:
            dispatch_doubts.conclude_not_accepted(db, again, by=sender, now=now, guard=guard)
            dispatch_doubts.conclude_unknown(
                db, findings.unknown, findings.why_unknown, by=sender, now=now, guard=guard
            )
            for doubt, parts in findings.in_parts:
                why = "the provider's log shows a part of it"
                wanted = Split(doubt.dispatch, parts, sender, why)
                made += dispatch_splits.split(db, wanted, DispatchState.IN_DOUBT, now=now, guard=guard)
        return made

    return in_transaction(db, work)


def _try_again_at(doubt: Doubt, policy: Policy, now: datetime) -> datetime | None:
    """At once: the doubt took longer than any pause between tries. None where the provider had it too often."""
    if doubt.used_a_try and doubt.dispatch.tries >= len(policy.delays.of(doubt.dispatch.rank)):
        return None
    return now


def _word(findings: Findings, doubt: Doubt) -> str:
    if doubt in findings.not_accepted:
        return "not accepted"
    return "unknown" if doubt in findings.unknown else "accepted in part"
