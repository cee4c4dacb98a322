"""Sender, API and pages: the feeds that they fetched."""

from typing import Final

from prometheus_client import CollectorRegistry

from mailroom.watching.histograms import Histogram

REGISTRY: Final = CollectorRegistry()
_FETCHES: Final = Histogram(
    "mailroom_feed_fetch_seconds",
    "Fetches of feeds, by what became of them",
    ["outcome"],
    registry=REGISTRY,
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


def fetched(outcome: str, seconds: float) -> None:
    """Note a fetch, also one that failed."""
    _FETCHES.labels(outcome).observe(seconds)
