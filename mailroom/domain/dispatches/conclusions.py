"""Conclusions about doubts, from the provider's log, its events and the fences. Step 7 of the protocol, without I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.absence import AbsenceVerdict, unless_contradicted
from mailroom.domain.dispatches.decisions import DispatchPart
from mailroom.domain.dispatches.doubts import Doubt, Traces
from mailroom.domain.dispatches.fences import Fence, FenceState, accepted_by_fence
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import MessageId

_IN_A_QUESTION: Final = 20  # dispatches; the query must stay a URL of sane length
_MAILS_IN_A_QUESTION: Final = 2_000  # the log has an entry or two for each


@dataclass(frozen=True, slots=True)
class DoubtInParts:
    """A dispatch in doubt with an acceptance of only part of its recipients, and the parts to split it into."""

    doubt: Doubt
    parts: Sequence[DispatchPart]


@dataclass(slots=True)
class Findings:
    """The conclusions from one answer, sorted by the write that follows."""

    accepted: list[tuple[Claimed, Acceptance]] = field(default_factory=list)
    seen: list[MessageId] = field(default_factory=list)
    not_accepted: list[Doubt] = field(default_factory=list)
    unknown: list[Doubt] = field(default_factory=list)
    why_unknown: str = "the provider's log does not go back to this call any more"
    contradicted: list[Doubt] = field(default_factory=list)  # unknown too: log, events, fence and recipients disagree
    in_parts: list[DoubtInParts] = field(default_factory=list)
    seen_in_part: list[Doubt] = field(
        default_factory=list
    )  # of mails that went elsewhere: nothing of them is sent again

    @property
    def left_unknown(self) -> list[Doubt]:
        """The doubts of which nobody can know what came of the whole call."""
        return [*self.unknown, *self.contradicted, *self.seen_in_part]


def sort_in(
    findings: Findings,
    doubt: Doubt,
    expected: Mapping[MessageId, str],
    traces: Traces,
    verdict: AbsenceVerdict,
    log_name: str,
) -> None:
    """Add the conclusion about one doubt to `findings`. `expected`: its recipients. `verdict`: for recipients without a
    trace."""
    dispatch = doubt.dispatch
    seen = [id_ for id_, address in expected.items() if fold(address) in traces.seen]
    unseen = [id_ for id_, address in expected.items() if fold(address) not in traces.seen]
    attempts = {attempt or dispatch.attempt: log_name for attempt in traces.accepted}
    yes = [Acceptance(dispatch.provider, id_, attempt, found=True) for attempt, id_ in attempts.items()]
    if seen and not unseen:
        findings.accepted += [(dispatch, each) for each in yes]
        return
    findings.seen += seen
    by_log, verdict = verdict, unless_contradicted(verdict, doubt, traces, set(map(fold, expected.values())))
    if verdict is AbsenceVerdict.ASK_AGAIN:
        return
    if seen and doubt.moved:
        findings.seen_in_part.append(doubt)
    elif seen:
        state = DispatchState.PENDING if verdict is AbsenceVerdict.NOT_ACCEPTED else DispatchState.UNKNOWN
        parts = [DispatchPart(sorted(seen), DispatchState.ACCEPTED, yes), DispatchPart(sorted(unseen), state)]
        findings.in_parts.append(DoubtInParts(doubt, parts))
    elif verdict is AbsenceVerdict.NOT_ACCEPTED:
        findings.not_accepted.append(doubt)
    elif verdict is not by_log:
        findings.contradicted.append(doubt)
    else:
        findings.unknown.append(doubt)


def questions(doubts: Sequence[Doubt]) -> Iterator[list[Doubt]]:
    """Divide doubts of one account into groups that each fit into one question."""
    group: list[Doubt] = []
    for doubt in doubts:
        mails = sum(other.dispatch.messages for other in group) + doubt.dispatch.messages
        if group and (len(group) == _IN_A_QUESTION or mails > _MAILS_IN_A_QUESTION):
            yield group
            group = []
        group.append(doubt)
    if group:
        yield group


def acceptance_in_fence(doubt: Doubt, fence: Fence) -> Acceptance | None:
    """The acceptance in the fence of an overtaken sender, which could not record it in MongoDB; otherwise None."""
    if fence.state is not FenceState.DONE or fence.digest != doubt.dispatch.digest:
        return None
    return accepted_by_fence(fence, doubt.dispatch, found=True)


def retry_at(doubt: Doubt, delays: Delays, *, now: datetime) -> datetime | None:
    """The time to retry a dispatch that was not accepted: now, because the doubt took longer than any pause between
    tries. None if no try is left."""
    if doubt.used_a_try and doubt.dispatch.tries >= len(delays.of(doubt.dispatch.rank)):
        return None
    return now


def verdict_of(findings: Findings, doubt: Doubt) -> str:
    """The verdict in words for the log line."""
    if doubt in findings.not_accepted:
        return "not accepted"
    return "unknown" if doubt in findings.left_unknown else "accepted in part"
