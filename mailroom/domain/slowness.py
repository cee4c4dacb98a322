"""When new work leaves a provider because it is slow: by a quantile of its calls' durations beside the others'.

A provider is slow if the quantile of its last calls is above a floor, and several times that of another provider that
takes mail. Then it rests. After the rest single mails go there as samples; they decide whether it rests again, for
twice as long. Where the others carried too little to compare, they get samples too.

A slow provider is only the last choice: it gets the mail that no other provider takes. Times are monotonic seconds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

QUANTILE: Final = 0.75  # three of four calls are at least as quick
LEAST_CALLS: Final = 5  # fewer calls say nothing
FLOOR_S: Final = 2.0  # a quicker provider is never slow
TIMES: Final = 3.0  # slower than the other one by this factor
LARGEST_BYTES: Final = 256 * 1024  # of a mail: a larger one takes its time at any provider
_KEPT: Final = 20  # calls
_REMEMBERED_S: Final = 600.0
_FIRST_REST_S: Final = 30.0
_LONGEST_REST_S: Final = 600.0
_BETWEEN_SAMPLES_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class TimedCall:
    """An answered call with one mail: the time of its end, and how long it took."""

    ended_at: float
    took_s: float


@dataclass(frozen=True, slots=True)
class Speed:
    """The last calls of one provider. `rests_until`: it is slow; from then on it gets samples only. None: it is not
    slow. `sampled_at`: the time of its last sample."""

    calls: tuple[TimedCall, ...] = ()
    rests_until: float | None = None
    rest_s: float = 0.0
    sampled_at: float = -math.inf

    @property
    def slow(self) -> bool:
        return self.rests_until is not None


@dataclass(frozen=True, slots=True)
class Slower:
    """A slow provider beside a quicker one: the quantile of both."""

    takes_s: float
    other: str
    other_takes_s: float

    def __str__(self) -> str:
        own = f"{1 - QUANTILE:.0%} of its calls take {self.takes_s:.1f} s or longer"
        return f"{own}, those of {self.other} {self.other_takes_s:.1f} s"


def quantile(durations_s: Sequence[float]) -> float:
    """The QUANTILE of these durations: a duration that occurred, no mean of two. `durations_s` is not empty."""
    ordered = sorted(durations_s)
    return ordered[math.ceil(QUANTILE * len(ordered)) - 1]


def slower(own: Speed, others: Mapping[str, Speed], *, now: float) -> Slower | None:
    """The quickest of the others, if this provider is slow beside it. `others`: those that take mail now, by name."""
    takes_s = _takes_s(own, now)
    if takes_s is None or takes_s < FLOOR_S:
        return None
    known = {name: other_s for name, speed in others.items() if (other_s := _takes_s(speed, now)) is not None}
    if not known:
        return None
    quickest = min(known, key=known.__getitem__)
    return Slower(takes_s, quickest, known[quickest]) if takes_s >= TIMES * known[quickest] else None


def after_call(speed: Speed, took_s: float, others: Mapping[str, Speed], *, now: float) -> tuple[Speed, Slower | None]:
    """The speed after a further call, and why it rests, if this call decided so."""
    if speed.rests_until is not None and now < speed.rests_until:
        return speed, None  # this call began before the rest
    speed = replace(speed, calls=(*speed.calls, TimedCall(now, took_s))[-_KEPT:])
    if reason := slower(speed, others, now=now):
        rest_s = min(2 * speed.rest_s, _LONGEST_REST_S) if speed.slow else _FIRST_REST_S
        return replace(speed, calls=(), rests_until=now + rest_s, rest_s=rest_s), reason
    if speed.slow and len(speed.calls) >= LEAST_CALLS:
        return replace(speed, rests_until=None, rest_s=0.0), None
    return speed, None


def sample_is_due(name: str, speeds: Mapping[str, Speed], *, now: float) -> bool:
    """True if this provider should get one mail now for the sake of its duration: it has rested, or another provider
    seems slow and nothing is known of this one."""
    own = speeds[name]
    if now < own.sampled_at + _BETWEEN_SAMPLES_S:
        return False
    if own.rests_until is not None:
        return now >= own.rests_until
    if _takes_s(own, now) is not None:
        return False
    others = (_takes_s(speed, now) for other, speed in speeds.items() if other != name)
    return any(takes_s is not None and takes_s >= FLOOR_S for takes_s in others)


def _takes_s(speed: Speed, now: float) -> float | None:
    """The quantile of the recent calls; None if they are too few."""
    recent = [call.took_s for call in speed.calls if call.ended_at > now - _REMEMBERED_S]
    return quantile(recent) if len(recent) >= LEAST_CALLS else None
