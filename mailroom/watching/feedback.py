"""API: the webhooks of the providers."""

import functools
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from mailroom.watching.histograms import Histogram

REGISTRY: Final = CollectorRegistry()
_EVENTS: Final = Counter(
    "mailroom_webhook_events_total",
    "Events in signed webhooks, by what became of them",
    ["provider", "result"],
    registry=REGISTRY,
)
_REFUSED: Final = Counter(
    "mailroom_webhooks_refused_total",
    "Webhooks that were refused, by the code of the answer",
    ["provider", "code"],
    registry=REGISTRY,
)
_LAG: Final = Histogram(
    "mailroom_webhook_lag_seconds",
    "From the provider's time of a new event until it was stored",
    ["provider"],
    registry=REGISTRY,
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400),
)

_events = functools.cache(_EVENTS.labels)  # to find a series by its labels takes longer than to add to it


def event_taken(provider: str, result: str) -> None:
    _events(provider, result).inc()


def event_stored(provider: str, lag: timedelta) -> None:
    """Note how late a new event came. A provider's clock may be ahead: then it came at once."""
    _LAG.labels(provider).observe(max(0.0, lag.total_seconds()))


def refused(provider: str, code: str) -> None:
    _REFUSED.labels(provider, code).inc()
