"""Lists over many rows: each page and each count looks at about as many keys of an index as it gives rows.

MongoDB's own numbers say so, over tens of thousands of documents. A page may look once more for each state or schedule
that it merges.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pymongo.database import Database

from local.servers import Servers
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import ScheduleState
from mailroom.domain.searches import COUNTED, RunOrder, RunSearch, ScheduleOrder, ScheduleSearch
from mailroom.storage.database import Db
from mailroom.storage.schedules import run_lists, schedule_lists
from mailroom.storage.schedules.schedule_document import name_fields
from tests.support.builders import NOW, stored_schedule
from tests.support.explaining import Work, work_of
from tests.support.system import a_system

pytestmark = pytest.mark.xdist_group("lists at scale")  # the rows are made once
MANY = 30_000
A_FEW = 220
SOME = [ScheduleId(f"sch_{number}") for number in range(150)]


@pytest.fixture(scope="module")
def crowded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Db]:
    """Many rows; no test changes them."""
    with a_system(tmp_path_factory.mktemp("crowded"), servers, database="test_lists_at_scale") as system:
        crowd(system.db, MANY)
        yield system.db


def crowd(db: Db, many: int) -> None:
    """Store schedules of which every third is archived and every hundredth paused, and runs of 200 of them."""
    stored_schedule(db)
    (model,) = db.schedules.find()
    states = {0: ScheduleState.ARCHIVED, 1: ScheduleState.ACTIVE, 2: ScheduleState.FINISHED}

    def a_schedule(number: int) -> dict[str, Any]:
        state = ScheduleState.PAUSED if number % 100 == 0 else states[number % 3]
        name = f"Digest {number}" if number % 1_000 else f"Offer {number}"
        due = NOW + timedelta(minutes=number) if state is ScheduleState.ACTIVE else None
        created = NOW - timedelta(seconds=number // 20)  # many of one moment
        plain = {"_id": f"sch_{number}", "name": name, "state": state, "created_at": created}
        return model | name_fields(name) | plain | {"next_run_at": due}

    def a_run(number: int) -> dict[str, Any]:
        state = RunState.CANCELLED if number % 1_000 == 0 else RunState.FINISHED
        due = NOW - timedelta(minutes=number // 10)
        plain = {"kind": "due", "revision": 1, "recipients": 1, "created_at": NOW, "planned_through": "", "chunks": 1}
        return plain | {
            "_id": f"sch_{number % 200}-{number}",
            "schedule_id": f"sch_{number % 200}",
            "state": state,
            "due_at": due,
            "instants": 1,
        }

    db.schedules.delete_many({})
    db.schedules.insert_many([a_schedule(number) for number in range(many)])
    db.runs.insert_many([a_run(number) for number in range(many)])


def work(db: Db, ask: Callable[[Database[Any]], Any]) -> Work:
    done = work_of(db, ask)
    assert not done.walks_a_collection
    return done


AFTER = {
    ScheduleOrder.NAME: ("digest 2", "sch_2"),
    ScheduleOrder.NAME_DOWN: ("digest 2", "sch_2"),
    ScheduleOrder.NEXT_RUN: (NOW + timedelta(minutes=15_000), "sch_15000"),
    ScheduleOrder.NEXT_RUN_DOWN: (NOW + timedelta(minutes=15_000), "sch_15000"),
    ScheduleOrder.OLDEST: (NOW - timedelta(seconds=700), "sch_14005"),
    ScheduleOrder.NEWEST: (NOW - timedelta(seconds=700), "sch_14005"),
}


def test_a_page_of_schedules_costs_its_rows_in_every_order_and_state_and_place(crowded: Db) -> None:
    looked_at = {}
    for order, place in AFTER.items():
        for after in (None, place):
            for state in (None, ScheduleState.PAUSED):
                search = ScheduleSearch(state=state)
                done = work(crowded, lambda db: schedule_lists.page(db, search, order, after=after, limit=50))  # noqa: B023
                looked_at[order, after is None, state] = (done.keys, done.sorts)

    assert {key: found for key, found in looked_at.items() if found[0] > 120 or found[1]} == {}


def test_the_schedules_without_a_next_run_follow_those_with_one(crowded: Db) -> None:
    last = (NOW + timedelta(minutes=MANY), "sch_x")

    done = work(
        crowded,
        lambda db: schedule_lists.page(db, ScheduleSearch(), ScheduleOrder.NEXT_RUN, after=last, limit=50),
    )

    assert (done.keys <= 120, done.sorts) == (True, False)


@pytest.mark.parametrize("order", list(ScheduleOrder))
def test_schedules_found_by_name_cost_what_is_found_not_what_there_is(crowded: Db, order: ScheduleOrder) -> None:
    done = work(
        crowded, lambda db: schedule_lists.page(db, ScheduleSearch(name="offer 2"), order, after=None, limit=50)
    )

    assert 0 < done.keys < 60


def test_counts_stop_at_their_bound(crowded: Db) -> None:
    search = ScheduleSearch(name="digest")
    by_name = work(crowded, lambda db: schedule_lists.count(db, search))
    of_all = work(crowded, lambda db: schedule_lists.count(db, ScheduleSearch()))
    of_runs = work(crowded, lambda db: run_lists.count(db, RunSearch(), None))

    for done in (by_name, of_all, of_runs):
        assert done.keys <= COUNTED + 10
    assert (of_all.documents, of_runs.documents) == (0, 0)
    assert str(schedule_lists.count(crowded, ScheduleSearch(state=ScheduleState.PAUSED))) == "300"
    assert str(schedule_lists.count(crowded, search)) == "10,000+"
    assert str(run_lists.count(crowded, RunSearch(state=RunState.CANCELLED), None)) == "30"


@pytest.mark.parametrize("of", [None, SOME[:1], SOME], ids=["all", "one", "many"])
@pytest.mark.parametrize("state", [None, RunState.CANCELLED, RunState.FINISHED])
def test_a_page_of_runs_costs_its_rows_and_its_schedules(crowded: Db, of: Any, state: RunState | None) -> None:
    search = RunSearch(state=state, since=NOW - timedelta(days=1), until=NOW)
    after = (NOW - timedelta(minutes=500), RunId("sch_3-5003"))
    for order in RunOrder:
        for place in (None, after):
            done = work(crowded, lambda db: run_lists.page(db, search, of, order, after=place, limit=50))  # noqa: B023
            assert done.keys <= 120 + 4 * len(of or ()), (order, place)
            assert not done.sorts


def test_the_schedules_of_a_name_are_looked_up_as_far_as_they_are_asked_for(crowded: Db) -> None:
    done = work(crowded, lambda db: schedule_lists.ids_named(db, "digest", limit=201))

    assert done.keys <= 210


def test_a_page_that_follows_another_gives_each_schedule_once_in_every_order(db: Db) -> None:
    crowd(db, A_FEW)
    wanted = {doc["_id"] for doc in db.schedules.find({"state": {"$ne": ScheduleState.ARCHIVED}})}
    for order in ScheduleOrder:
        seen, after = [], None
        while rows := schedule_lists.page(db, ScheduleSearch(), order, after=after, limit=7):
            seen += rows
            after = schedule_lists.place_of(rows[-1], order)
        places = [schedule_lists.place_of(one, order) for one in seen]
        dated = [place for place in places if place[0] is not None]

        assert (len(seen), {one.id for one in seen}) == (len(wanted), wanted)
        assert dated == sorted(dated, reverse=order.startswith("-"))
        assert places[: len(dated)] == dated
