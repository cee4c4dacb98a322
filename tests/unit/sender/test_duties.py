"""A sender's end and its duties."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from mailroom.domain.errors import Unavailable
from sender import duties
from sender.duties import Janitor, end_duties
from sender.leisure import Leisure, SenderStopping


@pytest.fixture
def under_way() -> Iterator[tuple[BackgroundScheduler, threading.Event, list[str]]]:
    """Duties of which one is under way until the event is set; then it says so."""
    begun, may_end, done = threading.Event(), threading.Event(), list[str]()

    def duty() -> None:
        begun.set()
        may_end.wait(30)
        done.append("through")

    ticking = BackgroundScheduler(timezone="UTC")
    ticking.add_job(duty)
    ticking.start()
    assert begun.wait(30)
    yield ticking, may_end, done
    may_end.set()


Duties = tuple[BackgroundScheduler, threading.Event, list[str]]


def test_a_duty_under_way_comes_to_its_end_before_its_clients_are_closed(under_way: Duties) -> None:
    ticking, may_end, done = under_way
    threading.Timer(0.1, may_end.set).start()

    end_duties(ticking)

    assert done == ["through"]


def test_a_duty_that_hangs_holds_the_end_up_for_a_moment_only(
    under_way: Duties, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking, _, done = under_way
    monkeypatch.setattr(duties, "_END_S", 0.05)

    end_duties(ticking)

    assert done == []


def test_a_ledger_under_way_is_left_when_its_sender_ends() -> None:
    """It rests between its pieces, for half an hour in all: the end does not wait for that."""
    begun, left = threading.Event(), threading.Event()
    ticking = BackgroundScheduler(timezone="UTC")

    def ledger() -> None:
        begun.set()
        rest = Leisure(lambda: ticking.running)
        try:
            while True:
                time.sleep(0.05)
                rest()
        except SenderStopping:
            left.set()

    ticking.add_job(ledger)
    ticking.start()
    assert begun.wait(30)

    end_duties(ticking)

    assert left.is_set()


class Rounds:
    """Of a janitor whose sweeps find what is in `finds`, one number a sweep, and fail where it is None."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *finds: int | None) -> None:
        self.tidied, self.swept, self._finds = 0, 0, [*finds]
        retention = SimpleNamespace(trails=timedelta(days=30))
        services: Any = SimpleNamespace(db=None, bodies=None, settings=SimpleNamespace(retention=retention))
        self.janitor = Janitor(services)
        monkeypatch.setattr("sender.duties.janitor.tidy", self._tidy)
        monkeypatch.setattr("sender.duties.janitor.sweep", self._sweep)

    def _tidy(self, _db: object) -> dict[str, int]:
        self.tidied += 1
        return {}

    def _sweep(self, _db: object, **_: object) -> dict[str, int]:
        self.swept += 1
        found = self._finds.pop(0)
        if found is None:
            raise Unavailable("S3")
        return {"trails_cut": found} if found else {}

    def go(self, count: int) -> tuple[int, int]:
        for _ in range(count):
            self.janitor.round()
        return self.tidied, self.swept


def test_a_sweep_that_finds_nothing_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rounds(monkeypatch, 0).go(5) == (5, 1)


def test_sweeps_go_on_in_each_round_for_as_long_as_they_find_something(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rounds(monkeypatch, 200, 200, 7, 0).go(6) == (6, 4)


def test_a_sweep_that_a_store_held_up_is_tried_again_in_the_next_round(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rounds(monkeypatch, None, 0).go(4) == (4, 2)


def test_sweeps_come_again_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duties, "_SWEEP_S", 0.0)

    assert Rounds(monkeypatch, 0, 0, 0).go(3) == (3, 3)
