"""Search filters and orders of lists. A filter that is None matches everything."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import ScheduleState

COUNTED: Final = 10_000  # rows; the count of a longer list stops here
MOST_NAMED: Final = 200  # schedules whose runs are listed together


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """The number of rows of a list. If not exact, the list has more rows."""

    rows: int
    is_exact: bool

    def __str__(self) -> str:
        return f"{self.rows:,}{'' if self.is_exact else '+'}"


class ScheduleOrder(StrEnum):
    """A minus means descending. Schedules without a next run are last in both directions."""

    NAME = "name"
    NAME_DOWN = "-name"
    NEXT_RUN = "next_run_at"
    NEXT_RUN_DOWN = "-next_run_at"
    OLDEST = "created_at"
    NEWEST = "-created_at"


@dataclass(frozen=True, slots=True)
class ScheduleSearch:
    """Filters of schedules. `name`: a search term (see name_keys.py). `state`: None means all except archived."""

    name: str | None = None
    state: ScheduleState | None = None


class RunOrder(StrEnum):
    LATEST_DUE = "-due_at"
    EARLIEST_DUE = "due_at"


@dataclass(frozen=True, slots=True)
class RunSearch:
    """Filters of runs and of recorded decisions not to run. `since` (inclusive) and `until` (exclusive) bound the due
    instant.

    `schedule`: a search term for the name of the schedule (see name_keys.py); at most MOST_NAMED schedules may match.
    """

    schedule: str | None = None
    schedule_id: ScheduleId | None = None
    state: RunState | None = None
    since: datetime | None = None
    until: datetime | None = None


class EmailOrder(StrEnum):
    NEWEST = "-created_at"
    OLDEST = "created_at"


@dataclass(frozen=True, slots=True)
class EmailSearch:
    """Filters of single mails. `since` is inclusive, `until` is exclusive."""

    recipient: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterSearch:
    """Filters of dead letters. `single`: True for single mails, False for campaigns."""

    run_id: RunId | None = None
    single: bool | None = None
    code: int | None = None
