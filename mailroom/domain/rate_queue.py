"""The queue of calls while a rate limit's bucket is empty.

This is the rule; coordination/lua/rate_queue.lua carries it out inside Redis, and a property test holds the two
together. A bucket refills at `rate.per_s` mails a second, up to `rate.at_once`. A call goes if each of its buckets
holds at least one token, and may overdraw the bucket. Any other call is delayed: it gets its own return time at the end
of its line, so that delayed calls do not return all at once. There are two lines, so that single mails do not queue
behind a campaign. A returning call goes before new calls. If it finds the bucket empty again, it waits for the next
token.

A bucket that stayed full for PATIENCE has only abandoned calls in its lines: they were cancelled, or sent by another
provider. Its lines are reset.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import IntEnum
from typing import Final

from mailroom.domain.rates import Rate

LONGEST_WAIT: Final = timedelta(minutes=10)  # the limit may have changed after that time
PATIENCE: Final = timedelta(seconds=5)


class QueueClass(IntEnum):
    """How a call queues while a bucket is empty."""

    NONE = 0  # sent at once; the bucket goes negative
    MAILS = 1
    CAMPAIGNS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call: the tokens (mails) that it takes from each bucket, by the name of the bucket."""

    takes: Mapping[str, int]
    line: QueueClass = QueueClass.CAMPAIGNS
    returns: bool = False  # delayed before: goes before new calls


@dataclass(frozen=True, slots=True)
class Bucket:
    """`tokens`: mails that may go; negative after an overdraft; the excess over `at_once` shows how long the bucket has
    been full. `mails_end`, `campaigns_end`: return time of the last call of each line. Times are milliseconds of Redis'
    clock."""

    tokens: float
    at: float
    mails_end: float
    campaigns_end: float


@dataclass(slots=True)
class _Open:
    """A bucket during the decision about a batch of calls."""

    rate: float  # mails a millisecond
    at_once: int
    tokens: float
    now: float
    next_return: float  # when the next returning call finds a token
    ends: dict[QueueClass, float]

    @property
    def is_empty(self) -> bool:
        return self.tokens < 1

    @property
    def refilled_at(self) -> float:
        return self.now + max(0.0, 1 - self.tokens) / self.rate

    def hold(self, mails: int, line: QueueClass, *, returns: bool) -> float:
        """Milliseconds that this call waits for the bucket; 0 if it may go."""
        if line is QueueClass.NONE:
            return 0.0
        if returns:
            if not self.is_empty:
                return 0.0
            comes_at = max(self.next_return, self.refilled_at)
            self.next_return = comes_at + mails / self.rate
        else:
            if not self.is_empty and self.ends[QueueClass.MAILS] <= self.now and self.ends[line] <= self.now:
                return 0.0
            comes_at = max(self.ends[line], self.refilled_at)
            self.ends[line] = comes_at + mails / self.rate
        return max(comes_at - self.now, 1.0)

    def pay(self, mails: int) -> None:
        self.tokens = min(self.tokens, self.at_once) - mails


def hold(
    stored: Mapping[str, Bucket], rates: Mapping[str, Rate], calls: Sequence[Wanted], *, now: float
) -> tuple[list[int], dict[str, Bucket]]:
    """Decide about these calls in turn. A bucket absent from `stored` is new, and full.

    Returns (for each call 0 if it goes and its tokens are taken, otherwise its delay in milliseconds; the buckets of
    these calls in their new state).
    """
    buckets = {name: _open(stored.get(name), rate, now) for name, rate in rates.items()}
    waits: list[int] = []
    for call in calls:
        wait = max(
            (buckets[name].hold(mails, call.line, returns=call.returns) for name, mails in call.takes.items()),
            default=0.0,
        )
        if not wait:
            for name, mails in call.takes.items():
                buckets[name].pay(mails)
        waits.append(math.ceil(min(wait, LONGEST_WAIT / timedelta(milliseconds=1))))
    asked = {name for call in calls for name in call.takes}
    return waits, {
        name: Bucket(bucket.tokens, now, bucket.ends[QueueClass.MAILS], bucket.ends[QueueClass.CAMPAIGNS])
        for name, bucket in buckets.items()
        if name in asked
    }


def _open(stored: Bucket | None, rate: Rate, now: float) -> _Open:
    stored = stored or Bucket(rate.at_once, now, now, now)
    a_ms = rate.per_s / 1000
    most = rate.at_once + PATIENCE / timedelta(milliseconds=1) * a_ms
    tokens = min(most, stored.tokens + (now - stored.at) * a_ms)
    if tokens >= most:
        stored = replace(stored, mails_end=now, campaigns_end=now)
    ends = {QueueClass.MAILS: max(stored.mails_end, now), QueueClass.CAMPAIGNS: max(stored.campaigns_end, now)}
    return _Open(a_ms, rate.at_once, tokens, now, now, ends)
