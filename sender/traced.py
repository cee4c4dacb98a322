"""What happens in a sender with traced mails, as steps of their traces (see mailroom/watching/traces.py). The trace of
a dispatch is '' if nothing is recorded."""

from collections.abc import Mapping

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import Outcome, Refusal
from mailroom.services.dispatching.fences import Crossing
from mailroom.watching import traces
from mailroom.watching.traces import Facts
from sender.counts import outcome_word


def trace_claims(trace_of: Mapping[Claimed, str], *, seconds: float) -> None:
    """Record the claim of these dispatches, which were claimed together."""
    for claimed, trace in trace_of.items():
        if trace:
            traces.step(trace, "claim", {**_facts(claimed), "dispatches": len(trace_of)}, seconds=seconds)


def trace_fences(trace_of: Mapping[Claimed, str], crossing: Crossing, *, seconds: float) -> None:
    """Record the crossing of the fences of these dispatches, which were crossed together."""
    traced = {claimed: trace for claimed, trace in trace_of.items() if trace}
    going = set(crossing.go) if traced else set()
    for claimed, trace in traced.items():
        traces.step(trace, "fence", {**_facts(claimed), "goes": claimed in going}, seconds=seconds)


def trace_call(trace: str, claimed: Claimed, outcome: Outcome, *, seconds: float) -> None:
    """Record a call to a provider that has ended."""
    word = outcome_word(outcome) if trace else ""
    if trace and word != Refusal.NOT_CALLED:
        traces.step(trace, "call", {**_facts(claimed), "outcome": word}, seconds=seconds)


def _facts(claimed: Claimed) -> Facts:
    return {"dispatch_id": claimed.id, "attempt": claimed.attempt, "provider": claimed.provider}
