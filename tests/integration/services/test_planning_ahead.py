"""Chunks of a large run that are composed while the chunk before them is stored, on a real MongoDB."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailroom.domain.ids import ScheduleId, Token
from mailroom.domain.runs import RunState
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.planning import asked_runs, composing, plan
from mailroom.services.planning.chunks import next_chunks
from mailroom.services.planning.composing import ChunkComposer
from mailroom.storage.cluster.restore_mark import Healthy
from mailroom.storage.database import Db, server_now
from tests.support.builders import recipients, stored_schedule
from tests.support.planned import hold, note_composed, runs_of

COUNT = 3_500  # recipients: four chunks
CHUNKS = 4


class Planning:
    """One sender's planning. `composed`: the run of each chunk that was read and rendered."""

    def __init__(self, db: Db, monkeypatch: pytest.MonkeyPatch, thread: ThreadPoolExecutor) -> None:
        self._db, self._composer = db, ChunkComposer(db, ahead=thread)
        self.composed = note_composed(monkeypatch)

    def begin(self, count: int = COUNT) -> ScheduleId:
        schedule = stored_schedule(self._db, recipients=recipients(count))
        asked_runs.run_now(self._db, schedule.id, owner="tests", key=schedule.id)
        return schedule.id

    def step(self, held: dict[ScheduleId, Token], *, remembers: bool = False) -> bool:
        now, seen = server_now(self._db), Healthy(remembers=remembers)
        done = plan.expand(self._db, held, batch_size=100, now=now, seen=seen, composer=self._composer)
        return bool(done.moved)

    def states(self, schedule: ScheduleId) -> Counter[str]:
        """The states of the run's messages."""
        (run,) = runs_of(self._db, schedule)
        return Counter(doc["state"] for doc in self._db.messages.find({"run_id": run.id}))


@pytest.fixture
def planning(db: Db, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planning]:
    with ThreadPoolExecutor(1) as thread:
        yield Planning(db, monkeypatch, thread)


def test_each_chunk_is_composed_once_and_stored_as_without_another_thread(db: Db, planning: Planning) -> None:
    ahead, alone = planning.begin(), planning.begin()
    held = hold(db, ahead)
    while planning.step(held):
        pass
    composed = len(planning.composed)
    held = hold(db, alone)
    while plan.expand(db, held, batch_size=100, now=server_now(db)).moved:
        pass

    (one,), (other,) = runs_of(db, ahead), runs_of(db, alone)
    assert composed == CHUNKS
    assert (one.state, one.chunks, one.placed) == (other.state, other.chunks, other.placed)
    assert one.state is RunState.PLANNED
    as_stored = [
        [
            {name: doc[name] for name in ("address", "name", "parts", "state")} | {"in": doc["dispatch_id"][-4:]}
            for doc in db.messages.find({"run_id": run.id}).sort("address", 1)
        ]
        for run in (one, other)
    ]
    assert len(as_stored[0]) == COUNT
    assert as_stored[0] == as_stored[1]


def test_a_small_run_that_comes_meanwhile_costs_no_chunk_that_is_composed(db: Db, planning: Planning) -> None:
    large = planning.begin()
    held = hold(db, large)
    planning.step(held)
    small = planning.begin(10)
    held |= hold(db, small)

    while planning.step(held):
        pass

    assert Counter(run.recipients for run in planning.composed) == {COUNT: CHUNKS, 10: 1}


def test_a_run_that_is_cancelled_meanwhile_is_written_down_as_cancelled(db: Db, planning: Planning) -> None:
    schedule = planning.begin()
    held = hold(db, schedule)
    planning.step(held)

    cancel_runs.cancel(db, runs_of(db, schedule)[0].id)
    while planning.step(held):
        pass

    assert planning.states(schedule) == {"cancelled": COUNT}


def test_a_run_that_another_sender_went_on_with_is_read_again(db: Db, planning: Planning) -> None:
    schedule = planning.begin()
    planning.step(hold(db, schedule))
    plan.expand(db, hold(db, schedule, token=2), batch_size=100, now=server_now(db))

    held = hold(db, schedule, token=3)
    while planning.step(held):
        pass

    assert planning.states(schedule) == {"queued": COUNT}


def test_what_was_composed_too_long_ago_is_composed_anew(
    db: Db, planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composing, "_FRESH_S", 0.0)
    held = hold(db, planning.begin())

    while planning.step(held):
        pass

    assert len(planning.composed) == 2 * CHUNKS - 1


def test_after_a_restore_nothing_is_composed_ahead_nor_used(db: Db, planning: Planning) -> None:
    schedule = planning.begin()
    held = hold(db, schedule)
    planning.step(held)

    while planning.step(held, remembers=True):
        pass

    assert len(planning.composed) == CHUNKS + 1
    assert planning.states(schedule) == {"queued": COUNT}


def test_a_fault_while_a_chunk_is_composed_ahead_costs_that_chunk_another_time(
    db: Db, planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = planning.begin()
    held = hold(db, schedule)
    with monkeypatch.context() as broken:
        compose, calls = next_chunks, list[int]()

        def fails_the_second_time(*args: object, **rest: object) -> object:
            calls.append(1)
            if len(calls) == 2:
                raise ValueError("planted")
            return compose(*args, **rest)  # type: ignore[arg-type]

        broken.setattr(composing, "next_chunks", fails_the_second_time)
        planning.step(held)

    while planning.step(held):
        pass

    assert planning.states(schedule) == {"queued": COUNT}
