"""The list of schedules: searched, sorted, counted. Used by the API and the pages."""

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.name_keys import term_key
from mailroom.domain.schedules import Schedule
from mailroom.domain.searches import COUNTED, BoundedCount, ScheduleOrder, ScheduleSearch
from mailroom.storage.database import Db
from mailroom.storage.paging import Place
from mailroom.storage.schedules import schedule_lists
from mailroom.storage.schedules.schedule_lists import place_of

__all__ = ["Place", "count", "page", "place_of"]


def page(
    db: Db,
    search: ScheduleSearch,
    order: ScheduleOrder = ScheduleOrder.NEWEST,
    *,
    after: Place | None = None,
    limit: int,
) -> list[Schedule]:
    """The schedules that are found. `after` is the place (`place_of`) of the last one on the page before.

    Raises InvalidInput: the name holds no letter and no digit, or more than COUNTED schedules have such a name.
    """
    if search.name is not None and not count(db, search).is_exact:
        raise InvalidInput(Fault("name", f"more than {COUNTED:,} schedules have such a name: type more of it"))
    return schedule_lists.page(db, search, order, after=after, limit=limit)


def count(db: Db, search: ScheduleSearch) -> BoundedCount:
    """How many schedules are found, as far as COUNTED. Raises InvalidInput: a name without a letter or digit."""
    if search.name is not None and not term_key(search.name):
        raise InvalidInput(Fault("name", "holds no letter and no digit"))
    return schedule_lists.count(db, search)
