"""When new work leaves a provider, and when it comes back. All senders share its state (coordination/circuits.py).

closed -> open: the limit of failures within the window, and no fewer failures than successes; or a refused account
open -> half: the cooldown has passed; then occasional calls are made as probes
half -> open: a probe fails; the cooldown doubles
half -> closed: the required number of probes in a row succeeds

`after_calls` is the rule; coordination/lua/circuit_report.lua carries it out inside Redis, and a property test holds
the two together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF = "half"


@dataclass(frozen=True, slots=True)
class CircuitRule:
    """When a circuit opens and closes."""

    window: timedelta
    failures: int
    cooldown: timedelta
    healthy: int = 5


LONGEST_COOLDOWN: Final = timedelta(minutes=10)
BETWEEN_PROBES: Final = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Circuit:
    """The present state. `until`: end of the open state. Calls that succeeded and failed within the window count while
    the circuit is closed."""

    state: CircuitState = CircuitState.CLOSED
    until: datetime | None = None
    good: int = 0
    bad: int = 0
    why: str = ""


SLICES: Final = 10  # per window; calls are counted by slice, and a slice older than the window is dropped


class CircuitChange(StrEnum):
    NONE = ""
    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class CircuitRecord:
    """A circuit as stored. Times and spans are milliseconds of Redis' clock. `good`, `bad`: calls by the number of
    their slice, while the circuit is closed. `healthy`: successful probes in a row, while the circuit is half open."""

    state: CircuitState = CircuitState.CLOSED
    until: float | None = None
    cooldown: float | None = None
    healthy: int = 0
    good: Mapping[int, int] = field(default_factory=dict)
    bad: Mapping[int, int] = field(default_factory=dict)


def after_calls(
    record: CircuitRecord, rule: CircuitRule, good: int, bad: int, *, now: float
) -> tuple[CircuitRecord, CircuitChange]:
    """The circuit after further calls have ended."""
    if record.state is CircuitState.OPEN:
        return record, CircuitChange.NONE  # these calls began before the circuit opened
    first = _ms(rule.cooldown)
    if record.state is CircuitState.HALF:
        if bad:
            return _opened(min(2 * (record.cooldown or first), _ms(LONGEST_COOLDOWN)), now), CircuitChange.OPENED
        healthy = record.healthy + good
        if healthy >= rule.healthy:
            return CircuitRecord(), CircuitChange.CLOSED
        return replace(record, healthy=healthy), CircuitChange.NONE
    slice_ = math.floor(now / (_ms(rule.window) / SLICES))
    counted = replace(record, good=_counted(record.good, slice_, good), bad=_counted(record.bad, slice_, bad))
    failures = sum(counted.bad.values())
    if failures >= rule.failures and failures >= sum(counted.good.values()):
        return _opened(first, now), CircuitChange.OPENED
    return counted, CircuitChange.NONE


def _opened(cooldown: float, now: float) -> CircuitRecord:
    return CircuitRecord(CircuitState.OPEN, now + cooldown, cooldown)


def _counted(calls: Mapping[int, int], slice_: int, more: int) -> dict[int, int]:
    """The counts with `more` calls in this slice, without slices older than the window."""
    recent = {number: count for number, count in calls.items() if number > slice_ - SLICES}
    return {**recent, slice_: recent.get(slice_, 0) + more} if more else recent


def _ms(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)
