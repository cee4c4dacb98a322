"""A sender's end and its duties."""

import threading
import time
from collections.abc import Iterator

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from sender import duties
from sender.duties import end_duties
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
