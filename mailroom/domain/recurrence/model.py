"""The values of a recurrence. A Recurrence has been checked: it can be computed, and fires at least once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NotRequired, TypedDict
from zoneinfo import ZoneInfo


class Kind(StrEnum):
    ONCE = "once"
    CRON = "cron"
    RRULE = "rrule"
    EVERY = "every"


class RuleRefused(ValueError):
    """The rule cannot be computed, or exceeds the allowed cost. The message is in words for a user.

    Raised for rules from users, and for stored rules that an older version of Mailroom had accepted.
    """


class RecurrenceFields(TypedDict):
    """A recurrence as requested. Naive times are local times of the zone."""

    kind: str
    time_zone: str
    expression: NotRequired[str | None]
    at: NotRequired[datetime | None]
    seconds: NotRequired[int | None]
    starts_at: NotRequired[datetime | None]
    ends_at: NotRequired[datetime | None]
    max_runs: NotRequired[int | None]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The rule of a schedule, its zone and its bounds.

    `anchor`: the instant from which `every` counts, and the DTSTART of an `rrule`. It equals `starts_at` if that is
    set, otherwise the creation time. Bounds are inclusive. `max_runs` counts decided due instants, run or not.
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
    """A due instant, and a sentence if a clock change moved or doubled its wall-clock time."""

    at: datetime
    note: str | None = None
