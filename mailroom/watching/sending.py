"""Sender: fences, calls to providers and their outcomes, lateness, doubts."""

import functools
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from mailroom.watching.histograms import Histogram

REGISTRY: Final = CollectorRegistry()
FENCE_ANSWERS: Final = ("go", "called_before", "split_before", "stale", "held", "forgotten")
VERDICTS: Final = ("accepted", "not_accepted", "unknown", "in_parts")
_FENCES: Final = Counter(
    "mailroom_fence_answers_total",
    "Claimed dispatches that came to their fence, by its answer",
    ["answer"],
    registry=REGISTRY,
)
_SENT: Final = Counter(
    "mailroom_sent_mails_total",
    "Mails in dispatches that ended, by the provider and the outcome",
    ["provider", "outcome"],
    registry=REGISTRY,
)
_CALLS: Final = Histogram(
    "mailroom_provider_call_seconds",
    "Calls to a provider, from the first byte to the whole answer or to the end of waiting for it",
    ["provider", "outcome"],
    registry=REGISTRY,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
_LATENESS: Final = Histogram(
    "mailroom_lateness_seconds",
    "From the time at which a dispatch was due until the provider accepted it; one observation a call",
    ["kind", "priority"],
    registry=REGISTRY,
    buckets=(0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400),
)
_SECOND_ACCEPTANCES: Final = Counter(
    "mailroom_second_acceptances_total",
    "Dispatches that a provider accepted more than once: this must never happen",
    registry=REGISTRY,
)
_SETTLED: Final = Counter(
    "mailroom_doubts_settled_total",
    "Doubts that were settled, by the verdict",
    ["verdict"],
    registry=REGISTRY,
)
_ANSWERED: Final = {answer: _FENCES.labels(answer) for answer in FENCE_ANSWERS}
_VERDICT: Final = {verdict: _SETTLED.labels(verdict) for verdict in VERDICTS}


# To find a series by its labels takes longer than to add to it, and a sender does so for each mail.
_sent = functools.cache(_SENT.labels)


def fences_answered(answer: str, count: int) -> None:
    if count:
        _ANSWERED[answer].inc(count)


def mails_ended(provider: str, outcome: str, count: int) -> None:
    _sent(provider, outcome).inc(count)


def call_ended(provider: str, outcome: str, *, seconds: float) -> None:
    _CALLS.labels(provider, outcome).observe(seconds)


def accepted_late(kind: str, priority: str, lateness: timedelta) -> None:
    """Note the lateness of an accepted dispatch. Two clocks differ a little: what seems early was on time."""
    _LATENESS.labels(kind, priority).observe(max(0.0, lateness.total_seconds()))


def accepted_twice(count: int) -> None:
    _SECOND_ACCEPTANCES.inc(count)


def doubt_settled(verdict: str, count: int) -> None:
    _VERDICT[verdict].inc(count)
