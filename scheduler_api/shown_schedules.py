"""A schedule as the API and the command line show it, with the times of its last runs."""

from typing import Any

from mailroom.domain.schedules import Schedule
from mailroom.services.schedules import view
from mailroom.services.schedules.view import StoredSchedule
from mailroom.storage.database import Db
from scheduler_api.schemas import schedules as schemas


def summary(db: Db, schedule: Schedule) -> dict[str, Any]:
    """A schedule without its content."""
    return schemas.summary(schedule, view.last_times(db, [schedule.id])[schedule.id])


def whole(db: Db, stored: StoredSchedule) -> dict[str, Any]:
    """A schedule with its newest content."""
    id_ = stored.schedule.id
    return schemas.whole(stored, view.last_times(db, [id_])[id_])
