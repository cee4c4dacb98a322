"""Reconcile doubts with the provider, by the holder of their lanes: step 7 of the protocol.

Facts are written whatever the lane's token is; decisions only under it. The next question is scheduled before a
question is asked, so neither a bad answer nor a crash can cause a busy loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.absence import AbsenceVerdict, controls_needed, judge_absent, judge_unasked
from mailroom.domain.dispatches.conclusions import Findings, acceptance_in_fence, questions, sort_in
from mailroom.domain.dispatches.doubts import Doubt, Traces, Unaskable, next_question
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import CalledAt
from mailroom.domain.errors import StaleToken, Unavailable
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import DispatchId, MessageId
from mailroom.providers.base import Adapter
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.reconciliation.conclusions import Policy, write
from mailroom.storage import controls, events, holds
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.messages import document as messages

log = structlog.get_logger()
DOUBTS_A_STEP: Final = 200


def reconcile(work: LaneWork, adapters: Mapping[str, Adapter], policy: Policy, *, now: datetime) -> int:
    """Ask about the doubts of the held lanes whose question is due. Returns how many doubts were due. `now`: MongoDB's
    time, never ahead of it. It decides only which questions are due; a doubt is judged by the time read then.

    Raises Unavailable if a store is away. If a provider is away, its doubts are asked about again later.
    """
    due = dispatch_doubts.to_ask(work.db, list(work.held), now=now, limit=DOUBTS_A_STEP)
    next_at = [(doubt, next_question(doubt, timing=policy.timing, now=now)) for doubt in due]
    dispatch_doubts.put_off(work.db, next_at)
    for where, doubts in _by_account(due).items():
        adapter = adapters.get(where.provider)
        for group in questions(doubts):
            try:
                if adapter is not None and adapter.askable:
                    _ask_about(work, adapter, where.account, group, policy)
                else:
                    says = policy.unaskable if adapter is not None else Unaskable.HOLD
                    _judge_unasked(work, group, policy, says)
            except StaleToken as error:
                log.warning("lane_lost", lane=error.lane, token=error.token)
    return len(due)


def _by_account(doubts: Sequence[Doubt]) -> dict[CalledAt, list[Doubt]]:
    by_account: dict[CalledAt, list[Doubt]] = {}
    for doubt in doubts:
        by_account.setdefault(CalledAt(doubt.dispatch.provider, doubt.dispatch.account), []).append(doubt)
    return by_account


def _judge_unasked(work: LaneWork, doubts: Sequence[Doubt], policy: Policy, says: Unaskable) -> None:
    """Judge doubts of a provider that has no log, or is no longer configured, by its events and the fences alone. Once
    a call cannot be accepted any more, `says` decides about recipients that neither shows."""
    expected, reported = _recipients(work.db, doubts), _reported(work.db, doubts)
    fences, _ = work.fences.read([(doubt.dispatch.claim.lane, doubt.dispatch.id) for doubt in doubts])
    now = server_now(work.db)
    findings = Findings(why_unknown="its provider cannot be asked")
    for doubt in doubts:
        id_ = doubt.dispatch.id
        if accepted := acceptance_in_fence(doubt, fences[id_]):
            findings.accepted.append((doubt.dispatch, accepted))
            continue
        seen = reported[id_]
        if says is Unaskable.WENT_OUT and doubt.over(policy.timing, now):
            seen = list(expected[id_].values())
        traces = Traces(frozenset(map(fold, seen)), {doubt.dispatch.attempt: ""} if seen else {})
        verdict = judge_unasked(doubt, fences[id_], says=says, timing=policy.timing, now=now)
        sort_in(findings, doubt, expected[id_], traces, verdict, "")
    write(work, findings, policy)


def _ask_about(work: LaneWork, adapter: Adapter, account: str, doubts: Sequence[Doubt], policy: Policy) -> None:
    ids = [doubt.dispatch.id for doubt in doubts]
    expected, reported = _recipients(work.db, doubts), _reported(work.db, doubts)
    asked_at = server_now(work.db)
    try:
        control = _control(work.db, adapter, account, doubts, policy, asked_at)
        told_as = {doubt.dispatch.id: doubt.told_as for doubt in doubts if doubt.told_as}
        answer = adapter.ask(account, ids, control, told_as) if told_as else adapter.ask(account, ids, control)
    except Unavailable as error:
        log.warning("provider_not_asked", account=account, doubts=len(doubts), error=str(error))
        write(work, _beyond_asking(doubts, policy, asked_at), policy)
        return
    findings = Findings()
    for doubt in doubts:
        id_ = doubt.dispatch.id
        verdict = judge_absent(doubt, asked_at=asked_at, control_seen=answer.control_seen, timing=policy.timing)
        traces = replace(answer.traces[id_], told=frozenset(map(fold, reported[id_])))
        sort_in(findings, doubt, expected[id_], traces, verdict, adapter.log_name(id_, account))
    write(work, findings, policy)


def _recipients(db: Db, doubts: Sequence[Doubt]) -> dict[DispatchId, dict[MessageId, str]]:
    """The recipients of each doubt, with their addresses. Another dispatch may carry them on by now."""
    moved = [doubt.dispatch.id for doubt in doubts if doubt.moved]
    own = [doubt.dispatch.id for doubt in doubts if not doubt.moved]
    return messages.addresses_of(db, own) | (messages.addresses_of_first(db, moved) if moved else {})


def _reported(db: Db, doubts: Sequence[Doubt]) -> dict[DispatchId, list[str]]:
    """The recipients of each doubt that events show to have been accepted. Of a mail that went elsewhere, only events
    that name its first dispatch tell about the first call."""
    moved = [doubt.dispatch for doubt in doubts if doubt.moved]
    own = [doubt.dispatch.id for doubt in doubts if not doubt.moved]
    of_moved = events.recipients_of_accepted(db, [(d.run_id, d.id) for d in moved]) if moved else {}
    return messages.sent_among(db, own) | of_moved


def _beyond_asking(doubts: Sequence[Doubt], policy: Policy, asked_at: datetime) -> Findings:
    """Findings without an answer: doubts older than the provider's log are unknown; others are asked about again."""
    verdicts = [(d, judge_absent(d, asked_at=asked_at, control_seen=False, timing=policy.timing)) for d in doubts]
    return Findings(unknown=[doubt for doubt, verdict in verdicts if verdict is AbsenceVerdict.UNKNOWN])


def _control(
    db: Db, adapter: Adapter, account: str, doubts: Sequence[Doubt], policy: Policy, now: datetime
) -> str | None:
    """The log name of a control: a mail accepted after the end of every call that may be judged absent now. None if
    there is no such call, or no control.

    If traffic gives no control, a control is created early, so that the log shows it in time; but not while all sending
    is stopped, because it is a mail in test mode.
    """
    decisive, over = controls_needed(doubts, timing=policy.timing, now=now)
    control = controls.first_since(db, account, decisive) if decisive else None
    if over and controls.first_since(db, account, over) is None and not holds.get(db, EVERYTHING).held:
        created = adapter.make_control(account)
        controls.note(db, account, created, at=now, slot=None, kept_for=policy.timing.log_retention)
        log.info("control_made", account=account, message_id=created)
        control = control or created
    return control if decisive else None


def note_control(db: Db, dispatch: Claimed, log_name: str, policy: Policy) -> None:
    """Note an accepted dispatch, which may serve as a control. Raises Unavailable."""
    controls.note(
        db,
        dispatch.account,
        log_name,
        at=dispatch.claimed_at,
        slot=policy.slot,
        kept_for=policy.timing.log_retention,
    )
