"""How often the thread of feeds looks for runs that wait for one."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.ids import ScheduleId, Token
from sender.feed_keeper import FeedKeeper


class Looks(FeedKeeper):
    """Of a sender that holds `lanes`."""

    def __init__(self) -> None:
        self.lanes: dict[ScheduleId, Token] = {}
        self.looked = threading.Event()
        self.count = 0
        services: Any = SimpleNamespace(leases=SimpleNamespace(held=True))
        in_flight: Any = SimpleNamespace(schedules=lambda: self.lanes)
        super().__init__(services, in_flight, mark=lambda: 0)

    def step(self) -> int:
        self.count += 1
        self.looked.set()
        return 0


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    monkeypatch.setattr("sender.feed_keeper._NO_LANES_S", 60.0)
    monkeypatch.setattr("sender.feed_keeper._LOOK_S", 0.01)
    made = Looks()
    made.start()
    assert made.looked.wait(10)
    time.sleep(0.2)  # it would look ten times
    made.looked.clear()
    yield made
    made.finish(within_s=5)
    assert not made._thread.is_alive()  # a pause is no reason to wait


def test_without_lanes_it_rests_until_one_is_taken(looks: Looks) -> None:
    assert looks.count == 1

    looks.lanes = {ScheduleId("sch_1"): Token(1)}
    looks.wake()

    assert looks.looked.wait(10)
    time.sleep(0.2)
    assert looks.count > 3
