"""Schedules that are held and planned, by the services themselves."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.ids import RunId, ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import Run
from mailroom.services.planning import composing, plan
from mailroom.services.planning.chunks import Chunk, next_chunks
from mailroom.services.reports import runs as run_views
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, recipients, stored_schedule


def note_composed(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The first run of each batch whose chunks are read and rendered from now on."""
    composed: list[Run] = []

    def noted(db: Db, batch: Sequence[Run], *rest: Any, **more: Any) -> list[Chunk]:
        composed.append(batch[0])
        return next_chunks(db, batch, *rest, **more)

    monkeypatch.setattr(composing, "next_chunks", noted)
    return composed


def hold(db: Db, *ids: ScheduleId, token: int = 1) -> dict[ScheduleId, Token]:
    """The lanes of these schedules, held with a token, as a sender would."""
    lanes.raise_tokens(db, {schedule_lane(id_): Token(token) for id_ in ids}, "tests", now=server_now(db))
    return {id_: Token(token) for id_ in ids}


def expand_all(db: Db, held: dict[ScheduleId, Token]) -> None:
    while plan.expand(db, held, batch_size=1_000, now=server_now(db)).moved:
        pass


def a_planned_run(db: Db, *, mails: int) -> RunId:
    """A run of a new schedule, with so many mails that wait for their call."""
    schedule = stored_schedule(db, recipients=recipients(mails))
    make_due(db, schedule, since=timedelta(minutes=61))
    held = hold(db, schedule.id)
    plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)
    return runs_of(db, schedule.id)[-1].id


def runs_of(db: Db, id_: ScheduleId) -> list[Run]:
    """The runs of this schedule, oldest first."""
    return list(reversed(run_views.page(db, schedule_id=id_, before=None, limit=100)))
