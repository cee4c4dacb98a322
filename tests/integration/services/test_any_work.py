"""A sender asks in one query whether there is any work, before it asks for each kind of work."""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.ids import Lane
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.storage.database import Db, server_now
from sender.in_flight import InFlight
from sender.lanes import Lanes
from tests.support.explaining import listened_to, work_of

AHEAD = timedelta(seconds=3)
REST = timedelta(seconds=5)
SOON, LATER = timedelta(seconds=2), timedelta(seconds=10)
LANE = Lane("schedule/s")


def a_schedule(db: Db, now: datetime, **changes: Any) -> None:
    db.schedules.insert_one({"_id": "s", "state": "active", "next_run_at": now + SOON, **changes})


def a_run(db: Db, now: datetime, **changes: Any) -> None:
    db.runs.insert_one({"_id": "r", "schedule_id": "s", "state": "planned", "due_at": now, **changes})


def a_dispatch(db: Db, now: datetime, **changes: Any) -> None:
    db.dispatches.insert_one({"_id": "d", "lane": LANE, "state": "pending", "rank": 3, "not_before": now, **changes})


WORK: dict[str, Callable[[Db, datetime], None]] = {
    "a schedule that is due soon": lambda db, now: a_schedule(db, now),
    "a run in planning": lambda db, now: a_run(db, now, state="planning"),
    "a cancelled run to be written": lambda db, now: a_run(db, now, state="cancelled", unwritten=True),
    "a feed to be fetched": lambda db, now: a_run(db, now, state="planning", awaits_feed=now),
    "a dispatch to be claimed": lambda db, now: a_dispatch(db, now),
    "a dispatch that its sender left": lambda db, now: a_dispatch(db, now, state="sending"),
    "a doubt": lambda db, now: a_dispatch(db, now, state="in_doubt"),
}
NO_WORK: dict[str, Callable[[Db, datetime], None]] = {
    "nothing": lambda db, now: None,
    "a schedule for later": lambda db, now: a_schedule(db, now, next_run_at=now + LATER),
    "a paused schedule": lambda db, now: a_schedule(db, now, state="paused"),
    "a planned run": lambda db, now: a_run(db, now),
    "a feed to be fetched later": lambda db, now: a_run(db, now, state="planning", awaits_feed=now + LATER),
    "a retry for later": lambda db, now: a_dispatch(db, now, not_before=now + LATER),
    "a dispatch that is through": lambda db, now: a_dispatch(db, now, state="accepted"),
    "a dispatch in a lane that is held": lambda db, now: a_dispatch(db, now, lane="schedule/held"),
}


def may_want(db: Db, now: datetime) -> bool:
    return dispatching_lanes.may_want_work(db, now=now, ahead=AHEAD, leave_out=[Lane("schedule/held")])


@pytest.mark.parametrize("work", WORK)
def test_each_kind_of_work_is_noticed(work: str, db: Db) -> None:
    WORK[work](db, now := server_now(db))

    lanes = dispatching_lanes.lanes_wanting_work(db, now=now, ahead=AHEAD, limit=5, leave_out=[])

    assert (may_want(db, now), lanes) == (True, [LANE])


@pytest.mark.parametrize("none", NO_WORK)
def test_what_is_no_work_yet_or_any_more_is_not(none: str, db: Db) -> None:
    NO_WORK[none](db, now := server_now(db))

    assert not may_want(db, now)


COMING: dict[str, Callable[[Db, datetime], None]] = WORK | {
    "a schedule whose lane is taken ahead by then": lambda db, now: a_schedule(db, now, next_run_at=now + REST + SOON),
    "a feed to be fetched by then": lambda db, now: a_run(db, now, state="planning", awaits_feed=now + SOON),
    "a retry by then": lambda db, now: a_dispatch(db, now, not_before=now + SOON),
    "a doubt whose next question is far": lambda db, now: a_dispatch(
        db, now, state="in_doubt", not_before=now + 10 * LATER
    ),
    "a dispatch in a lane that is held": NO_WORK["a dispatch in a lane that is held"],
}
NOT_COMING = {name: work for name, work in NO_WORK.items() if name not in COMING}


def may_come(db: Db, now: datetime) -> bool:
    return dispatching_lanes.may_want_work_until(db, now + REST, ahead=AHEAD)


@pytest.mark.parametrize("work", COMING)
def test_each_kind_of_work_that_comes_before_a_rest_is_over_is_noticed(work: str, db: Db) -> None:
    COMING[work](db, now := server_now(db))

    assert may_come(db, now)


@pytest.mark.parametrize("none", NOT_COMING)
def test_what_comes_only_after_a_rest_is_not(none: str, db: Db) -> None:
    NOT_COMING[none](db, now := server_now(db))

    assert not may_come(db, now)


@pytest.mark.parametrize("work", WORK)
def test_a_sender_without_work_asks_once_and_finds_what_comes_at_its_next_look(
    work: str, db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions, heard = listened_to(db)
    taken: list[Lane] = []
    monkeypatch.setattr(
        dispatching_lanes, "take_lanes", lambda _db, _l, _f, some, **__: (taken.extend(some), ({}, ""))[1]
    )
    leases = SimpleNamespace(held_by_anybody=lambda _: set())
    settings = SimpleNamespace(sending=SimpleNamespace(schedules_per_sender=100))
    services: Any = SimpleNamespace(db=heard, fences=None, leases=leases, settings=settings)
    lanes = Lanes(services, InFlight(), sender="s")
    monkeypatch.setattr("sender.lanes.pause_of_looks", lambda _took_s, found: 0.0)
    now = server_now(db)

    lanes.take_wanted(now)
    questions.asked.clear()
    lanes.take_wanted(now)
    asked_at_rest = len(questions.asked)
    WORK[work](db, now)
    lanes.take_wanted(now)

    assert (asked_at_rest, taken) == (1, [LANE])


@pytest.mark.parametrize("question", [may_want, may_come])
def test_the_question_costs_by_what_is_open_and_not_by_what_there_is(
    db: Db, question: Callable[[Db, datetime], bool]
) -> None:
    now, many = server_now(db), range(3_000)
    db.schedules.insert_many(
        {"_id": f"s{n}", "state": ("active", "paused")[n % 2], "next_run_at": now + LATER} for n in many
    )
    db.runs.insert_many({"_id": f"r{n}", "schedule_id": f"s{n}", "state": "finished", "due_at": now} for n in many)
    open_later = {"state": "pending", "rank": 3, "not_before": now + LATER}
    db.dispatches.insert_many({"_id": f"l{n}", "lane": f"schedule/s{n % 7}", **open_later} for n in many)
    db.dispatches.insert_many({"_id": f"a{n}", "lane": f"schedule/s{n}", "state": "accepted"} for n in many)

    work = work_of(db, lambda db: question(db, now))

    assert (work.questions, work.documents, work.walks_a_collection, work.sorts) == (1, 0, False, False)
    assert work.keys < 100
