"""Rate limits: mails per time span, for a provider or for a recipient's domain, with daily steps for the warm-up of a
sending domain. Pure; the buckets are in coordination/rate_buckets.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mailroom.domain.addresses import InvalidAddress, check_address
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_RATE, MAX_WARM_UP_DAYS

# A tenth of the span's mails may go at once: smooth over a day, without a delay for the first few mails.
_AT_ONCE: Final = 0.1


class LimitKind(StrEnum):
    PROVIDER = "provider"
    DOMAIN = "domain"


class Per(StrEnum):
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


SPANS: Final = {
    Per.SECOND: timedelta(seconds=1),
    Per.MINUTE: timedelta(minutes=1),
    Per.HOUR: timedelta(hours=1),
    Per.DAY: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit as in force at one moment: mails a second, and the size of a burst."""

    per_s: float
    at_once: int


@dataclass(frozen=True, slots=True)
class Limit:
    """`mails` in each span. During the warm-up, day n after `began_at` allows `warm_up[n]` mails instead."""

    kind: LimitKind
    name: str
    mails: int
    per: Per
    warm_up: Sequence[int]
    began_at: datetime

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"

    def mails_at(self, now: datetime) -> int:
        day = max(0, (now - self.began_at) // timedelta(days=1))
        return self.warm_up[day] if day < len(self.warm_up) else self.mails

    def rate_at(self, now: datetime) -> Rate:
        mails = self.mails_at(now)
        return Rate(mails / SPANS[self.per].total_seconds(), max(1, math.floor(mails * _AT_ONCE)))


def check_limit(kind: str, name: str, draft: Mapping[str, object], *, now: datetime) -> Limit:
    """A limit in the form to store. Raises InvalidInput with a fault for each wrong field."""
    faults: list[Fault] = []
    folded = name.strip().lower()
    if kind == LimitKind.DOMAIN:
        try:
            folded = check_address(f"a@{folded}").rpartition("@")[2]
        except InvalidAddress:
            faults.append(Fault("name", "a domain, such as example.org"))
    mails, per, warm_up = draft.get("mails"), draft.get("per"), draft.get("warm_up") or []
    if not _is_rate(mails):
        faults.append(Fault("mails", f"a whole number from 1 to {MAX_RATE}"))
    if per not in set(Per):
        faults.append(Fault("per", f"one of {', '.join(Per)}"))
    if not isinstance(warm_up, list) or len(warm_up) > MAX_WARM_UP_DAYS or not all(map(_is_rate, warm_up)):
        warm_up = []
        faults.append(Fault("warm_up", f"up to {MAX_WARM_UP_DAYS} whole numbers from 1 to {MAX_RATE}, one a day"))
    if faults:
        raise InvalidInput(*faults)
    return Limit(LimitKind(kind), folded, int(str(mails)), Per(str(per)), tuple(warm_up), now)


def _is_rate(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_RATE
