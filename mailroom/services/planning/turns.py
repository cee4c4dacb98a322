"""In which lanes a step of planning may work."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager

from mailroom.domain.ids import ScheduleId

#: Takes a turn in the lanes of schedules: yields those in which planning may work until the `with` block ends.
TakeTurn = Callable[[Collection[ScheduleId]], AbstractContextManager[Collection[ScheduleId]]]


@contextmanager
def in_all_lanes(schedules: Collection[ScheduleId]) -> Iterator[Collection[ScheduleId]]:
    """A turn in all of these lanes: for a caller beside which nothing is claimed."""
    yield schedules
