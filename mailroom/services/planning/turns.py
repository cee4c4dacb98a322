"""In which lanes a step of planning may work, and whom it tells of what may go then."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from mailroom.domain.ids import RunId, ScheduleId

#: Takes a turn in the lanes of schedules: yields those in which planning may work until the `with` block ends.
TakeTurn = Callable[[Collection[ScheduleId]], AbstractContextManager[Collection[ScheduleId]]]
#: Told which runs have new dispatches to claim now, each with the earliest `not_before` among these; perhaps none.
Announce = Callable[[Mapping[RunId, datetime]], None]


@contextmanager
def in_all_lanes(schedules: Collection[ScheduleId]) -> Iterator[Collection[ScheduleId]]:
    """A turn in all of these lanes: for a caller beside which nothing is claimed."""
    yield schedules
