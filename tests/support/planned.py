"""Schedules that are held and planned, by the services themselves."""

from mailroom.domain.ids import ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import Run
from mailroom.services.planning import plan
from mailroom.services.reports import runs as run_views
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now


def hold(db: Db, *ids: ScheduleId, token: int = 1) -> dict[ScheduleId, Token]:
    """The lanes of these schedules, held with a token, as a sender would."""
    lanes.raise_tokens(db, {schedule_lane(id_): Token(token) for id_ in ids}, "tests", now=server_now(db))
    return {id_: Token(token) for id_ in ids}


def expand_all(db: Db, held: dict[ScheduleId, Token]) -> None:
    while plan.expand(db, held, batch_size=1_000, now=server_now(db)).moved:
        pass


def runs_of(db: Db, id_: ScheduleId) -> list[Run]:
    """The runs of this schedule, oldest first."""
    return list(reversed(run_views.page(db, schedule_id=id_, before=None, limit=100)))
