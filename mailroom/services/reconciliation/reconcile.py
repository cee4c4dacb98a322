"""Doubts settled with the provider, by the holder of their lanes. Step 7 of the protocol.

Facts are written whatever the lane's token is; decisions only under it. A question is put off before it is asked, so
neither a bad answer nor a crash can make it spin.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.doubts import (
    AbsenceVerdict,
    Doubt,
    Traces,
    Unaskable,
    controls_needed,
    judge_absent,
    next_question,
)
from mailroom.domain.errors import StaleToken, Unavailable
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import Lane, Token
from mailroom.providers.base import Adapter
from mailroom.services.reconciliation.conclusions import Findings, Policy, sort_in, write
from mailroom.storage import controls, holds
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.messages import document as messages

log = structlog.get_logger()
DOUBTS_A_STEP: Final = 200
_IN_A_QUESTION: Final = 20  # dispatches; the query must stay a URL of sane length
_MAILS_IN_A_QUESTION: Final = 2_000  # the log has an entry or two for each


def reconcile(
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
                    says = policy.unaskable if adapter is not None else Unaskable.HOLD
                    _judge_unasked(db, fences, group, held, policy, says, sender=sender)
            except StaleToken as error:
                log.warning("lane_lost", lane=error.lane, token=error.token)
    return len(due)


def _judge_unasked(
    db: Db,
    fences: Fences,
    doubts: Sequence[Doubt],
    held: Mapping[Lane, Token],
    policy: Policy,
    says: Unaskable,
    *,
    sender: str,
) -> None:
    """A provider that has no log to ask, or that is no longer set up: what its events and the fences tell is all that
    can be known. Once the call cannot be accepted any more, the rest is what the setting says of it; unless it says
    something, it is held for a person."""
    ids = [doubt.dispatch.id for doubt in doubts]
    expected, told = messages.addresses_of(db, ids), messages.sent_among(db, ids)
    stand, _ = fences.read([(doubt.dispatch.claim.lane, doubt.dispatch.id) for doubt in doubts])
    now = server_now(db)
    findings = Findings(why_unknown="its provider cannot be asked")
    for doubt in doubts:
        id_ = doubt.dispatch.id
        if accepted := _told_by_fence(doubt, stand[id_]):
            findings.accepted.append((doubt.dispatch, accepted))
            continue
        seen = told[id_]
        if says is Unaskable.WENT_OUT and doubt.over(policy.timing, now):
            seen = list(expected[id_].values())
        traces = Traces(frozenset(map(fold, seen)), {doubt.dispatch.attempt: ""} if seen else {})
        if _released(doubt, stand[id_]):
            verdict = AbsenceVerdict.NOT_ACCEPTED
        elif not doubt.over(policy.timing, now):
            verdict = AbsenceVerdict.ASK_AGAIN
        else:
            verdict = AbsenceVerdict.NOT_ACCEPTED if says is Unaskable.SEND_AGAIN else AbsenceVerdict.UNKNOWN
        sort_in(findings, doubt, expected[id_], traces, verdict, "")
    write(db, fences, findings, held, policy, sender=sender)


def _told_by_fence(doubt: Doubt, fence: Fence) -> Acceptance | None:
    """The acceptance, where who was overtaken has learnt of it, and could not write it down."""
    if fence.state is not FenceState.DONE or fence.digest != doubt.dispatch.digest:
        return None
    provider = fence.called_at.provider if fence.called_at else doubt.dispatch.provider
    return Acceptance(provider, fence.provider_id, fence.attempt, found=True)


def _released(doubt: Doubt, fence: Fence) -> bool:
    """True where who was overtaken knows that it was not accepted."""
    return fence.state is FenceState.RELEASED and fence.claim_id == doubt.doubted


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
    ids = [doubt.dispatch.id for doubt in doubts]
    expected, told = messages.addresses_of(db, ids), messages.sent_among(db, ids)
    asked_at = server_now(db)
    try:
        control = _control(db, adapter, account, doubts, policy, asked_at)
        told_as = {doubt.dispatch.id: doubt.told_as for doubt in doubts if doubt.told_as}
        answer = adapter.ask(account, ids, control, told_as) if told_as else adapter.ask(account, ids, control)
    except Unavailable as error:
        log.warning("provider_not_asked", account=account, doubts=len(doubts), error=str(error))
        write(db, fences, _beyond_asking(doubts, policy, asked_at), held, policy, sender=sender)
        return
    findings = Findings()
    for doubt in doubts:
        id_ = doubt.dispatch.id
        verdict = judge_absent(doubt, asked_at=asked_at, control_seen=answer.control_seen, timing=policy.timing)
        if verdict is AbsenceVerdict.NOT_ACCEPTED and set(map(fold, told[id_])) - answer.traces[id_].seen:
            # Its events tell of what the log does not show: repeating it is not for us.
            verdict = AbsenceVerdict.UNKNOWN
        sort_in(findings, doubt, expected[id_], answer.traces[id_], verdict, adapter.log_name(id_, account))
    write(db, fences, findings, held, policy, sender=sender)


def _beyond_asking(doubts: Sequence[Doubt], policy: Policy, asked_at: datetime) -> Findings:
    """Without an answer: what is older than the provider's log is beyond knowing; the rest is asked about again."""
    verdicts = [(d, judge_absent(d, asked_at=asked_at, control_seen=False, timing=policy.timing)) for d in doubts]
    return Findings(unknown=[doubt for doubt, verdict in verdicts if verdict is AbsenceVerdict.UNKNOWN])


def _control(
    db: Db, adapter: Adapter, account: str, doubts: Sequence[Doubt], policy: Policy, now: datetime
) -> str | None:
    """The log name of a control: something accepted after the end of every call that may be judged absent now. None if
    there is no such call, or no control.

    Where traffic gives no control, one is made in good time; but not while all sending is stopped, for it is a mail in
    test mode.
    """
    decisive, over = controls_needed(doubts, timing=policy.timing, now=now)
    found = controls.first_since(db, account, decisive) if decisive else None
    if over and controls.first_since(db, account, over) is None and not holds.get(db, EVERYTHING).held:
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
