"""The list of runs of all schedules: searched, sorted, counted. Used by the API and the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.name_keys import term_key
from mailroom.domain.runs import Run
from mailroom.domain.searches import MOST_NAMED, BoundedCount, RunOrder, RunSearch
from mailroom.storage.database import Db
from mailroom.storage.paging import Place
from mailroom.storage.schedules import run_lists, schedule_lists, schedules

__all__ = ["ListedRun", "Place", "count", "page", "place_of"]


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run, or a recorded decision not to run, with the name that its schedule has now."""

    run: Run
    schedule_name: str


def page(
    db: Db, search: RunSearch, order: RunOrder = RunOrder.LATEST_DUE, *, after: Place | None = None, limit: int
) -> list[ListedRun]:
    """The runs that are found. `after` is the place (`place_of`) of the last one on the page before.

    Raises InvalidInput: the schedule's name holds no letter and no digit, or more than MOST_NAMED have such a name.
    """
    page_ = run_lists.page(db, search, _schedules(db, search), order, after=after, limit=limit)
    names = schedules.names(db, list({run.schedule_id for run in page_}))
    return [ListedRun(run, names.get(run.schedule_id, "")) for run in page_]


def count(db: Db, search: RunSearch) -> BoundedCount:
    """How many runs are found, as far as COUNTED. Raises InvalidInput as `page` does."""
    return run_lists.count(db, search, _schedules(db, search))


def place_of(listed: ListedRun) -> Place:
    """Where this run stands in the list, in either order."""
    return listed.run.due_at, listed.run.id


def _schedules(db: Db, search: RunSearch) -> Sequence[ScheduleId] | None:
    """The schedules whose runs are listed; None for all."""
    asked = None if search.schedule_id is None else [search.schedule_id]
    if search.schedule is None:
        return asked
    if not term_key(search.schedule):
        raise InvalidInput(Fault("schedule", "holds no letter and no digit"))
    named = schedule_lists.ids_named(db, search.schedule, limit=MOST_NAMED + 1)
    if len(named) > MOST_NAMED:
        raise InvalidInput(Fault("schedule", f"more than {MOST_NAMED} schedules have such a name: type more of it"))
    return named if asked is None else [id_ for id_ in asked if id_ in named]
