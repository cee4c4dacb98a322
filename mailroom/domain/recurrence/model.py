"""What a recurrence is. A value of these types has been checked: it can be computed, and fires at least once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


class Kind(StrEnum):
    ONCE = "once"
    CRON = "cron"
    RRULE = "rrule"
    EVERY = "every"


class RuleRefused(ValueError):
    """The expression of a rule that cannot be computed, or that would cost more than a rule may; in words for a user.

    Raised for rules that are typed in, and for stored ones that an older version of Mailroom had taken.
    """


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The rule of a schedule, its zone and its bounds.

    `anchor` is the instant from which `every` counts and at which an `rrule` has its DTSTART: `starts_at` where
    one is given, else the moment of creation. Bounds are inclusive. `max_runs` counts due instants that were
    decided, run or not.
    """

    kind: Kind
    time_zone: str
    anchor: datetime
    expression: str = ""  # cron, rrule
    at: datetime | None = None  # once: naive local time
    seconds: int = 0  # every
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    max_runs: int | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A due instant, and a sentence where a clock change moved or doubled its wall-clock time."""

    at: datetime
    note: str | None = None
