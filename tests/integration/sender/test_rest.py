"""How a sender without work rests, and what wakes it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo import MongoClient

from mailroom.domain.errors import Unavailable
from mailroom.services.common.clock import Clocks
from mailroom.storage.changes import Changes, ChangesRefused, open_changes
from mailroom.storage.database import Db, connect, server_now
from sender.change_watch import ChangeWatch
from sender.in_flight import InFlight
from sender.rest import Rest
from tests.support.explaining import listened_to

OF_WORK: dict[str, Callable[[Db], Any]] = {
    "a dispatch": lambda db: db.dispatches.insert_one({"_id": "d", "state": "pending"}),
    "a schedule": lambda db: db.schedules.insert_one({"_id": "s", "state": "active"}),
    "a run": lambda db: db.runs.insert_one({"_id": "r", "state": "planning"}),
    "a hold that is lifted": lambda db: db.holds.update_one({"_id": "all"}, {"$set": {"held": False}}, upsert=True),
}


class Woken:
    """A watch, and how often it woke."""

    def __init__(self, db: Db) -> None:
        self.event = threading.Event()
        self.watch = ChangeWatch(db, changed=self.event.set)
        self.watch.start()


@pytest.fixture
def woken(db: Db) -> Iterator[Woken]:
    made = Woken(connect(_url(db), app="test"))
    yield made
    made.watch.finish(within_s=5)
    made.watch._db.client.close()


def _url(db: Db) -> str:
    host, port = next(iter(db.client.nodes))
    return f"mongodb://{host}:{port}/{db.name}?directConnection=true"


def a_rest(
    db: Db, watch: ChangeWatch, *, in_flight: InFlight | None = None, stopped: bool = False, lease_s: int = 15
) -> Rest:
    """Of a sender that has found nothing to do for a while."""
    services: Any = SimpleNamespace(db=db, settings=SimpleNamespace(sending=SimpleNamespace(lease_ttl_s=lease_s)))
    guard: Any = SimpleNamespace(is_fresh=True, on_hold=SimpleNamespace(everything=stopped))
    rest = Rest(services, in_flight or InFlight(), guard, Clocks(db), watch)
    rest._worked_at -= 60
    return rest


@pytest.mark.parametrize("work", OF_WORK)
def test_any_change_of_work_wakes_a_sender(work: str, db: Db, woken: Woken) -> None:
    woken.watch.begin()

    OF_WORK[work](db)

    assert woken.event.wait(10)
    assert not woken.watch.watching


def test_a_change_that_comes_before_anybody_waits_for_it_is_not_missed(db: Db) -> None:
    woken = threading.Event()
    watch = ChangeWatch(db, changed=woken.set)
    watch.begin()
    db.dispatches.insert_one({"_id": "d", "state": "pending"})

    watch.start()

    assert woken.wait(10)
    watch.finish(within_s=5)


def test_other_changes_wake_nobody(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom.storage.changes._ONE_WAIT_S", 1.0)
    changes = open_changes(db)
    db.messages.insert_one({"_id": "m"})
    db.events.insert_one({"_id": "e"})

    OF_WORK["a dispatch"](db)

    assert [changes.wait(), changes.wait()] == [True, False]  # one change of the three
    changes.close()


def test_a_sender_decides_on_a_rest_with_one_question(db: Db, woken: Woken) -> None:
    questions, heard = listened_to(db)
    rest = a_rest(heard, woken.watch)

    assert (rest.pause_s(), rest.resting) == (0.25, False)  # the watch begins
    questions.asked.clear()
    assert (rest.pause_s(), rest.resting) == (pytest.approx(5.0, abs=1.0), True)
    assert len(questions.asked) == 1


def resting(db: Db, watch: ChangeWatch) -> Rest:
    """In a round after one that decided to rest."""
    rest = a_rest(db, watch)
    rest.pause_s()
    rest.pause_s()
    assert rest.resting
    return rest


def test_a_rest_goes_on_from_round_to_round_with_one_question_each(db: Db, woken: Woken) -> None:
    questions, heard = listened_to(db)
    rest = resting(heard, woken.watch)
    questions.asked.clear()

    rounds = [(rest.goes_on(), rest.pause_s(), rest.resting) for _ in range(3)]

    assert [(goes_on, resting) for goes_on, _, resting in rounds] == [(True, True)] * 3
    assert all(4 < pause_s <= 5 for _, pause_s, _ in rounds)  # from the question on
    assert len(questions.asked) == 3


def test_a_rest_that_goes_on_ends_with_a_change(db: Db, woken: Woken) -> None:
    rest = resting(db, woken.watch)

    OF_WORK["a dispatch"](db)
    assert woken.event.wait(10)

    assert (rest.goes_on(), rest.pause_s(), rest.resting) == (False, 0.25, False)


def test_a_change_during_the_round_of_a_rest_ends_it(db: Db, woken: Woken) -> None:
    rest = resting(db, woken.watch)
    assert rest.goes_on()

    OF_WORK["a dispatch"](db)
    assert woken.event.wait(10)

    assert (rest.pause_s(), rest.resting) == (0.25, False)


def test_a_rest_does_not_go_on_into_what_comes_due(db: Db, woken: Woken) -> None:
    soon = server_now(db) + timedelta(seconds=10)
    db.schedules.insert_one({"_id": "s", "state": "active", "next_run_at": soon})
    rest = resting(db, woken.watch)
    later = rest._clocks.read()
    rest._clocks.read = lambda: replace(later, now=later.now + timedelta(seconds=5))  # type: ignore[method-assign]

    assert (rest.goes_on(), rest.resting) == (False, False)


@pytest.mark.parametrize(("lease_s", "within_s"), [(2, 7), (4, 9), (10, 15), (300, 20)])
def test_keys_and_lanes_are_compared_in_time_all_the_same(lease_s: int, within_s: int, db: Db, woken: Woken) -> None:
    """By a whole round, at the end of a rest at the latest."""
    rest = a_rest(db, woken.watch, lease_s=lease_s)

    assert -(-rest._whole_round_s // rest._rest_s) * rest._rest_s <= within_s


def test_a_whole_round_comes_when_it_is_due(db: Db, woken: Woken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sender.rest._WHOLE_ROUND_S", 0.0)
    rest = resting(db, woken.watch)

    assert not rest.goes_on()
    assert (rest.pause_s(), rest.resting) == (pytest.approx(5.0, abs=1.0), True)  # and rests on


def test_a_rest_ends_where_mongodb_does_not_answer(db: Db, woken: Woken, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = resting(db, woken.watch)

    def away(*_: object, **__: object) -> bool:
        raise Unavailable("MongoDB")

    monkeypatch.setattr("sender.rest.may_want_work_until", away)

    with pytest.raises(Unavailable):
        rest.goes_on()
    assert not rest.goes_on()


def test_after_a_round_that_failed_a_whole_one_comes(db: Db, woken: Woken) -> None:
    rest = resting(db, woken.watch)
    assert rest.goes_on()  # no pause follows

    assert not rest.goes_on()


def test_its_rest_is_no_longer_than_its_lease(db: Db, woken: Woken) -> None:
    rest = a_rest(db, woken.watch, lease_s=2)
    rest.pause_s()

    assert 1 < rest.pause_s() <= 2


def test_it_asks_again_and_again_while_something_comes_due(db: Db, woken: Woken) -> None:
    soon = server_now(db) + timedelta(seconds=3)
    db.schedules.insert_one({"_id": "s", "state": "active", "next_run_at": soon})

    rest = a_rest(db, woken.watch)
    rest.pause_s()

    assert (rest.pause_s(), rest.resting) == (0.25, False)


def test_it_rests_only_where_a_change_wakes_it(db: Db) -> None:
    away = connect("mongodb://127.0.0.1:9/mailroom?serverSelectionTimeoutMS=100", app="test")
    watch = ChangeWatch(away, changed=lambda: None)

    rest = a_rest(db, watch)
    rest.pause_s()

    assert (rest.pause_s(), rest.resting) == (0.25, False)
    away.client.close()


def test_it_does_not_rest_while_all_sending_is_stopped_or_a_call_is_in_hand(db: Db, woken: Woken) -> None:
    busy: Any = SimpleNamespace(schedules=dict, in_hand=lambda: 1)

    woken.watch.begin()

    assert a_rest(db, woken.watch, stopped=True).pause_s() == 0.25
    assert a_rest(db, woken.watch, in_flight=busy).pause_s() == 0.25


def test_after_work_it_asks_often_for_a_while(db: Db, woken: Woken) -> None:
    rest = a_rest(db, woken.watch)
    rest.note_work()

    assert (rest.pause_s(), rest.resting) == (0.05, False)


def test_a_watch_that_breaks_wakes_the_sender(woken: Woken) -> None:
    """The sender then asks until it can watch again."""
    woken.watch.begin()
    assert woken.watch._changes is not None

    woken.watch._changes.interrupt()

    assert woken.event.wait(10)
    assert not woken.watch.watching


def test_a_sender_that_may_not_watch_goes_on_asking(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def refused(_db: Db) -> Changes:
        tries.append(1)
        raise ChangesRefused("not authorized")

    monkeypatch.setattr("sender.change_watch.open_changes", refused)
    rest = a_rest(db, ChangeWatch(db, changed=lambda: None))

    assert [rest.pause_s() for _ in range(3)] == [0.25] * 3
    assert tries == [1]  # the next one comes later


def test_a_sender_that_ends_does_not_wait_for_a_change(woken: Woken) -> None:
    woken.watch.begin()

    woken.watch.finish(within_s=5)

    assert not woken.watch._thread.is_alive()


def test_a_watch_that_mongodb_ends_wakes_the_sender(db: Db, woken: Woken) -> None:
    """No change tells of it."""
    woken.watch.begin()

    db.client.drop_database(db.name)

    assert woken.event.wait(10)
    assert not woken.watch.watching


def test_a_sender_does_not_rely_on_a_watch_of_a_former_primary(
    db: Db, woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = a_rest(db, woken.watch)
    rest.pause_s()
    monkeypatch.setattr(MongoClient, "primary", ("127.0.0.1", 1))

    assert (rest.pause_s(), rest.resting) == (0.25, False)


def test_while_changes_come_all_the_time_watches_become_rare(
    db: Db, woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sender.change_watch._BEGINS_EVERY_S", 60.0)  # on a machine of any speed this is soon
    for number in range(2):
        woken.watch._begin_at = 0.0
        woken.event.clear()
        woken.watch.begin()
        db.dispatches.insert_one({"_id": f"d{number}", "state": "accepted"})
        assert woken.event.wait(10)

    assert woken.watch._pause_s == 4.0


def test_a_wait_for_a_change_is_no_round_trip_of_a_store(db: Db, woken: Woken, monkeypatch: pytest.MonkeyPatch) -> None:
    took: list[float] = []
    monkeypatch.setattr("mailroom.watching.stores.took", lambda _store, seconds: took.append(seconds))
    monkeypatch.setattr("mailroom.storage.changes._ONE_WAIT_S", 2.0)
    changes = open_changes(woken.watch._db)

    took.clear()

    assert not changes.wait()

    assert took == []
    changes.close()
