"""Doubts settled with the provider, by the holder of their lanes. Step 7 of the protocol.

Facts are written whatever the lane's token is; decisions only under it. A question is put off before it is asked, so
neither a bad answer nor a crash can make it spin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches import Acceptance, Claimed, DispatchState
from mailroom.domain.doubts import (
    Doubt,
    Timing,
    Traces,
    Unaskable,
    Verdict,
    controls_needed,
    judge_absent,
    next_question,
)
from mailroom.domain.errors import StaleToken, Unavailable
from mailroom.domain.ids import DispatchId, Lane, MessageId, Token
from mailroom.domain.retries import Delays
from mailroom.providers.base import Adapter
from mailroom.services.recording import finish_runs, record_accepted, tell_these
from mailroom.storage import controls, dispatch_doubts, dispatch_splits, lanes, messages
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatch_splits import Part

log = structlog.get_logger()
DOUBTS_A_STEP: Final = 200
_IN_A_QUESTION: Final = 20  # dispatches; the query must stay a URL of sane length
_MAILS_IN_A_QUESTION: Final = 2_000  # the log has an entry or two for each
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
class _Findings:
    """What one answer showed, sorted by what is to be written."""

    accepted: list[tuple[Claimed, Acceptance]] = field(default_factory=list)
    seen: list[MessageId] = field(default_factory=list)
    not_accepted: list[Doubt] = field(default_factory=list)
    unknown: list[Doubt] = field(default_factory=list)
    why_unknown: str = "the provider's log does not go back to this call any more"
    in_parts: list[tuple[Doubt, list[Part]]] = field(default_factory=list)


def settle(
    db: Db,
    fences: Fences,
    adapters: Mapping[str, Adapter],
    held: Mapping[Lane, Token],
    policy: Policy,
    *,
    sender: str,
) -> int:
    """Ask about the doubts of the held lanes whose question is due. Returns how many were asked about.

    Raises Unavailable where a store is away; a provider that is away is waited for.
    """
    now = server_now(db)
    due = dispatch_doubts.to_ask(db, list(held), now=now, limit=DOUBTS_A_STEP)
    timing = policy.timing
    dispatch_doubts.put_off(db, [(doubt, next_question(doubt, timing=timing, now=now)) for doubt in due])
    by_account: dict[tuple[str, str], list[Doubt]] = {}
    for doubt in due:
        by_account.setdefault((doubt.dispatch.provider, doubt.dispatch.account), []).append(doubt)
    for (provider, account), doubts in by_account.items():
        adapter = adapters.get(provider)
        for group in _questions(doubts):
            try:
                if adapter is not None and adapter.askable:
                    _ask_about(db, fences, adapter, account, group, held, policy, sender=sender)
                else:
                    _judge_unasked(db, fences, group, held, policy, sender=sender)
            except StaleToken as error:
                log.warning("lane_lost", lane=error.lane, token=error.token)
    return len(due)


def _judge_unasked(
    db: Db,
    fences: Fences,
    doubts: Sequence[Doubt],
    held: Mapping[Lane, Token],
    policy: Policy,
    *,
    sender: str,
) -> None:
    """A provider that has no log to ask, or that is no longer set up: what its events have told by now is all that
    can be known. The rest is what the setting says of it; unless it says something, it is held for a person."""
    ids = [doubt.dispatch.id for doubt in doubts]
    expected, told = messages.addresses_of(db, ids), messages.sent_among(db, ids)
    now = server_now(db)
    findings = _Findings(why_unknown="its provider cannot be asked")
    for doubt in doubts:
        id_ = doubt.dispatch.id
        traces = Traces(frozenset(map(fold, told[id_])), {doubt.dispatch.attempt: ""} if told[id_] else {})
        verdict = Verdict.UNKNOWN
        if policy.unaskable is Unaskable.SEND_AGAIN:
            over = now >= policy.timing.over_from(doubt.marked_at)
            verdict = Verdict.NOT_ACCEPTED if over else Verdict.ASK_AGAIN
        if policy.unaskable is Unaskable.WENT_OUT:
            traces = Traces(frozenset(map(fold, expected[id_].values())), {doubt.dispatch.attempt: ""})
        _sort_in(findings, doubt, expected[id_], traces, verdict, "")
    _write(db, fences, findings, held, policy, sender=sender)


def _questions(doubts: Sequence[Doubt]) -> Iterator[list[Doubt]]:
    """Doubts of one account, some at a time."""
    group: list[Doubt] = []
    for doubt in doubts:
        mails = sum(one.dispatch.messages for one in group) + doubt.dispatch.messages
        if group and (len(group) == _IN_A_QUESTION or mails > _MAILS_IN_A_QUESTION):
            yield group
            group = []
        group.append(doubt)
    if group:
        yield group


def _ask_about(
    db: Db,
    fences: Fences,
    adapter: Adapter,
    account: str,
    doubts: Sequence[Doubt],
    held: Mapping[Lane, Token],
    policy: Policy,
    *,
    sender: str,
) -> None:
    expected = messages.addresses_of(db, [doubt.dispatch.id for doubt in doubts])
    asked_at = server_now(db)
    try:
        control = _control(db, adapter, account, doubts, policy, asked_at)
        answer = adapter.ask(account, [doubt.dispatch.id for doubt in doubts], control)
    except Unavailable as error:
        log.warning("provider_not_asked", account=account, doubts=len(doubts), error=str(error))
        _write(db, fences, _beyond_asking(doubts, policy, asked_at), held, policy, sender=sender)
        return
    findings = _Findings()
    for doubt in doubts:
        id_ = doubt.dispatch.id
        verdict = judge_absent(doubt, asked_at=asked_at, control_seen=answer.control_seen, timing=policy.timing)
        _sort_in(findings, doubt, expected[id_], answer.traces[id_], verdict, adapter.log_name(id_, account))
    _write(db, fences, findings, held, policy, sender=sender)


def _beyond_asking(doubts: Sequence[Doubt], policy: Policy, asked_at: datetime) -> _Findings:
    """Without an answer: what is older than the provider's log is beyond knowing; the rest is asked about again."""
    verdicts = [(d, judge_absent(d, asked_at=asked_at, control_seen=False, timing=policy.timing)) for d in doubts]
    return _Findings(unknown=[doubt for doubt, verdict in verdicts if verdict is Verdict.UNKNOWN])


def _control(
    db: Db, adapter: Adapter, account: str, doubts: Sequence[Doubt], policy: Policy, now: datetime
) -> str | None:
    """The log name of something accepted since all those calls were over that may be judged absent now; None where
    there are none. Where traffic has given no control, for now or for later, one is made."""
    decisive, over = controls_needed(doubts, timing=policy.timing, now=now)
    found = controls.first_since(db, account, decisive) if decisive else None
    if over and controls.first_since(db, account, over) is None:
        made = adapter.make_control(account)
        controls.note(db, account, made, at=now, slot=None, kept_for=policy.timing.log_retention)
        log.info("control_made", account=account, message_id=made)
        found = found or made
    return found if decisive else None


def note_control(db: Db, dispatch: Claimed, log_name: str, policy: Policy) -> None:
    """A dispatch that was accepted may serve as a control. Raises Unavailable."""
    controls.note(
        db,
        dispatch.account,
        log_name,
        at=dispatch.claimed_at,
        slot=policy.slot,
        kept_for=policy.timing.log_retention,
    )


def _sort_in(
    findings: _Findings,
    doubt: Doubt,
    expected: Mapping[MessageId, str],
    traces: Traces,
    verdict: Verdict,
    log_name: str,
) -> None:
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
    if verdict is Verdict.NOT_ACCEPTED and (foreign or (traces.accepted and not seen)):
        # The log shows this call, to somebody else than we say, or to nobody: it is not for us to repeat it.
        verdict = Verdict.UNKNOWN
    if verdict is Verdict.ASK_AGAIN:
        return
    if seen:
        state = DispatchState.PENDING if verdict is Verdict.NOT_ACCEPTED else DispatchState.UNKNOWN
        parts = [Part(sorted(seen), DispatchState.ACCEPTED, yes), Part(sorted(rest), state)]
        findings.in_parts.append((doubt, parts))
    elif verdict is Verdict.NOT_ACCEPTED:
        findings.not_accepted.append(doubt)
    else:
        findings.unknown.append(doubt)


def _write(
    db: Db, fences: Fences, findings: _Findings, held: Mapping[Lane, Token], policy: Policy, *, sender: str
) -> None:
    now = server_now(db)
    record_accepted(db, fences, findings.accepted, now=now)
    messages.mark_some_sent(db, findings.seen, at=now)
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
    tell_these(db, touched)
    finish_runs(db, [d.run_id for d, _ in findings.accepted] + [d.dispatch.run_id for d in doubts], now=now)


def _decide(
    db: Db, findings: _Findings, tokens: Mapping[Lane, Token], policy: Policy, sender: str, now: datetime
) -> list[DispatchId]:
    """Write the decisions in one transaction under the lanes' tokens. Returns what messages must be told of."""

    def work(session: Session) -> list[DispatchId]:
        lanes.touch(db, tokens, session)
        again = [(doubt, _try_again_at(doubt, policy, now)) for doubt in findings.not_accepted]
        dispatch_doubts.settle_not_accepted(db, again, by=sender, now=now, session=session)
        dispatch_doubts.settle_unknown(db, findings.unknown, findings.why_unknown, by=sender, now=now, session=session)
        made = [doubt.dispatch.id for doubt in [*findings.not_accepted, *findings.unknown]]
        for doubt, parts in findings.in_parts:
            made += dispatch_splits.split(
                db,
                doubt.dispatch,
                DispatchState.IN_DOUBT,
                parts,
                by=sender,
                why="the provider's log shows a part of it",
                now=now,
                session=session,
            )
        return made

    return in_transaction(db, work)


def _try_again_at(doubt: Doubt, policy: Policy, now: datetime) -> datetime | None:
    """At once: the doubt took longer than any pause between tries. None where the provider had it too often."""
    if doubt.used_a_try and doubt.dispatch.tries >= len(policy.delays.of(doubt.dispatch.rank)):
        return None
    return now


def _word(findings: _Findings, doubt: Doubt) -> str:
    if doubt in findings.not_accepted:
        return "not accepted"
    return "unknown" if doubt in findings.unknown else "accepted in part"
