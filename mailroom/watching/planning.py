"""Sender: what it planned."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

REGISTRY: Final = CollectorRegistry()
_RUNS: Final = Counter("mailroom_planned_runs_total", "Due instants that became a run", registry=REGISTRY)
_SKIPPED: Final = Counter(
    "mailroom_skipped_instants_total",
    "Due instants that the misfire rule decided not to run, because they were missed",
    registry=REGISTRY,
)
_MAILS: Final = Counter(
    "mailroom_planned_mails_total",
    "Mails of runs as they were planned: to be sent, or why not",
    ["state"],
    registry=REGISTRY,
)


def decided(*, runs: int, skipped: int) -> None:
    """Count decided instants, once they are stored."""
    _RUNS.inc(runs)
    _SKIPPED.inc(skipped)


def planned(state: str, count: int) -> None:
    """Count mails in this state, once they are stored."""
    _MAILS.labels(state).inc(count)
