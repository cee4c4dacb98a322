"""Over which time zones the contacts of schedules spread: of those that go out in each recipient's own time."""

from collections.abc import Mapping, Sequence

from mailroom.domain.audience_versions import all_of
from mailroom.domain.beginnings import Spread
from mailroom.domain.ids import ScheduleId
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.schedules import Revision, Schedule
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db

NOWHERE: Spread = frozenset()


def spread_of(db: Db, schedule: Schedule, history: Sequence[Revision]) -> Spread:
    """The time zones of all contacts of the schedule's audiences now, whether its filters find them or not."""
    return spreads_of(db, [schedule], {schedule.id: history}).get(schedule.id, NOWHERE)


def spreads_of(
    db: Db, schedules: Sequence[Schedule], histories: Mapping[ScheduleId, Sequence[Revision]]
) -> dict[ScheduleId, Spread]:
    """As `spread_of`, of all those schedules among these that go out in each recipient's own time."""
    newest = {one.id: histories[one.id][0] for one in schedules if one.delivery is DeliveryTime.RECIPIENT_TIME}
    if not newest:
        return {}
    lists = {id_: [one.audience for one in all_of(of.lists, of.audience)] for id_, of in newest.items()}
    zones = audiences.zones_of(db, {audience for named in lists.values() for audience in named})
    return {id_: NOWHERE.union(*(zones.get(one, NOWHERE) for one in named)) for id_, named in lists.items()}
