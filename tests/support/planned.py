"""Schedules that are held and planned, by the services themselves."""

from mailroom.domain.ids import ScheduleId, Token, schedule_lane
from mailroom.services.planning import plan
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now


def hold(db: Db, *ids: ScheduleId, token: int = 1) -> dict[ScheduleId, Token]:
    """The lanes of these schedules, held with a token, as a sender would."""
    lanes.raise_tokens(db, {schedule_lane(id_): Token(token) for id_ in ids}, "tests", now=server_now(db))
    return {id_: Token(token) for id_ in ids}


def expand_all(db: Db, held: dict[ScheduleId, Token]) -> None:
    while plan.expand(db, held, batch_size=1_000, now=server_now(db)).moved:
        pass
