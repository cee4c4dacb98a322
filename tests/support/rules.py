"""Schedules under rules that cost too much."""

from datetime import timedelta
from typing import Any

from mailroom.domain.ids import Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.schedules import Schedule
from mailroom.services.planning import plan as planning_plan
from mailroom.services.planning.progress import Progress
from mailroom.services.schedules import view as schedule_view
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, stored_schedule

HOUR = timedelta(hours=1)
MINUTES = ",".join(map(str, range(60)))
HOURS = ",".join(map(str, range(24)))
EVERY_MINUTE = f"FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR={HOURS};BYMINUTE={MINUTES};BYSECOND=0"


def with_rule(db: Db, expression: str, **changes: Any) -> Schedule:
    """A due schedule as an older version may have stored it."""
    schedule = stored_schedule(db, **changes)
    make_due(db, schedule, since=1.5 * HOUR)
    rule = {"recurrence.kind": "rrule", "recurrence.expression": expression}
    db.schedules.update_one({"_id": schedule.id}, {"$set": rule, "$unset": {"recurrence.seconds": ""}})
    return schedule_view.get(db, schedule.id).schedule


def plan(db: Db, *schedules: Schedule) -> Progress:
    lanes.raise_tokens(db, {schedule_lane(s.id): Token(1) for s in schedules}, "tests", now=server_now(db))
    return planning_plan.plan_due(db, {s.id: Token(1) for s in schedules}, mark=0, now=server_now(db))
