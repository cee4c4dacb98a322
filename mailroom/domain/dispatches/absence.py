"""When a provider's log that does not show a dispatch proves that the dispatch was not accepted.

Only if nothing can hide an acceptance: the call can no longer be under way, the log has had time to become complete,
the log still reaches back to the call, and the answer to the same question shows a dispatch that was accepted later (a
control: an empty log proves nothing).
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from mailroom.domain.dispatches.doubts import Doubt, Timing, Traces, Unaskable
from mailroom.domain.dispatches.fences import Fence, FenceState


class AbsenceVerdict(StrEnum):
    """The verdict on recipients that the log does not show."""

    NOT_ACCEPTED = "not_accepted"
    UNKNOWN = "unknown"
    ASK_AGAIN = "ask_again"


def judge_absent(doubt: Doubt, *, asked_at: datetime, control_seen: bool, timing: Timing) -> AbsenceVerdict:
    """The verdict after an answer without a trace. `asked_at`: MongoDB's time before the question was sent."""
    if asked_at - doubt.called_since >= timing.log_retention:
        return AbsenceVerdict.UNKNOWN
    if control_seen and asked_at >= timing.decisive_from(doubt.marked_at):
        return AbsenceVerdict.NOT_ACCEPTED
    return AbsenceVerdict.ASK_AGAIN


def unless_contradicted(
    verdict: AbsenceVerdict, doubt: Doubt, traces: Traces, recipients: Collection[str]
) -> AbsenceVerdict:
    """The verdict on recipients without a trace; UNKNOWN instead of NOT_ACCEPTED where something speaks against it.
    `recipients`: the folded addresses of the dispatch."""
    if verdict is not AbsenceVerdict.NOT_ACCEPTED:
        return verdict
    if doubt.final:
        return AbsenceVerdict.UNKNOWN  # its fence would put every new attempt in doubt again
    if traces.told - traces.seen:
        return AbsenceVerdict.UNKNOWN  # the events contradict the log
    foreign = traces.seen.difference(recipients)
    if foreign or (traces.accepted and traces.seen.isdisjoint(recipients)):
        # The log shows this call with other recipients than ours, or with none: only a person may decide to repeat it.
        return AbsenceVerdict.UNKNOWN
    return verdict


def judge_unasked(doubt: Doubt, fence: Fence, *, says: Unaskable, timing: Timing, now: datetime) -> AbsenceVerdict:
    """The verdict on recipients without a trace, if the provider has no log to ask. `says`: the setting for such doubts
    once the call can no longer be accepted."""
    if fence.state is FenceState.RELEASED and fence.claim_id == doubt.doubted:
        return AbsenceVerdict.NOT_ACCEPTED  # the overtaken sender knows that the call was not accepted
    if not doubt.over(timing, now):
        return AbsenceVerdict.ASK_AGAIN
    return AbsenceVerdict.NOT_ACCEPTED if says is Unaskable.SEND_AGAIN else AbsenceVerdict.UNKNOWN


def controls_needed(
    doubts: Collection[Doubt], *, timing: Timing, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Returns (decisive, upcoming): the earliest acceptance times that a control must have, first for doubts that can
    be judged absent now, then for all whose calls are over. Create the second early, so that the log shows it in time.

    None if there is no such doubt.
    """
    over = [timing.over_from(doubt.marked_at) for doubt in doubts]
    decisive = [at for at in over if at + timing.settle <= now]
    return max(decisive, default=None), max([at for at in over if at <= now], default=None)
