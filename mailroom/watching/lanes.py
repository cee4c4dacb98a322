"""Sender: its lease, its lanes, and whether it gets something done."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

REGISTRY: Final = CollectorRegistry()
LEASE_CHANGES: Final = ("begun", "lost")
RENEWALS: Final = ("renewed", "refused", "unanswered")
LANE_CHANGES: Final = ("taken", "given_back", "lost", "stray")
_LEASES: Final = Counter(
    "mailroom_lease_changes_total",
    "Leases of etcd that this sender began, and that it lost with lanes",
    ["change"],
    registry=REGISTRY,
)
_RENEWALS: Final = Counter(
    "mailroom_lease_renewals_total",
    "Heartbeats of the lease, by etcd's answer",
    ["result"],
    registry=REGISTRY,
)
_LANES: Final = Counter(
    "mailroom_lane_changes_total",
    "Lanes that were taken, given back, lost to another holder, or found held in etcd and by nobody here",
    ["change"],
    registry=REGISTRY,
)
_HELD: Final = Gauge("mailroom_lanes_held", "Lanes that this sender holds", registry=REGISTRY)
_IN_HAND: Final = Gauge(
    "mailroom_dispatches_in_hand", "Dispatches that this sender has claimed and not yet recorded", registry=REGISTRY
)
_IDLE: Final = Gauge(
    "mailroom_round_age_seconds",
    "Time since this sender last completed a round of its loop, or a step of planning: the longer of the two",
    registry=REGISTRY,
)
_LEASE_CHANGED: Final = {change: _LEASES.labels(change) for change in LEASE_CHANGES}
_RENEWED: Final = {result: _RENEWALS.labels(result) for result in RENEWALS}
_LANE_CHANGED: Final = {change: _LANES.labels(change) for change in LANE_CHANGES}


def lease_changed(change: str) -> None:
    _LEASE_CHANGED[change].inc()


def renewal(result: str) -> None:
    _RENEWED[result].inc()


def lanes_changed(change: str, count: int) -> None:
    _LANE_CHANGED[change].inc(count)


def show(*, held: Callable[[], int], in_hand: Callable[[], int], idle_s: Callable[[], float]) -> None:
    """Let each reading of the gauges ask these functions, which must be fast and thread-safe."""
    _HELD.set_function(held)
    _IN_HAND.set_function(in_hand)
    _IDLE.set_function(idle_s)
