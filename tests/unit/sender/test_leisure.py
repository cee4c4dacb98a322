"""Long work behind the sending rests for four times as long as it worked, and ends with its process."""

import time

import pytest

from sender import leisure
from sender.leisure import Leisure, SenderStopping


class Clock:
    """Its time passes by sleeping, and by work."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(leisure, "time", made)
    return made


def test_it_works_for_a_fifth_of_the_time(clock: Clock) -> None:
    rest = Leisure(lambda: True)

    for _ in range(10):
        clock.now += 0.1
        rest()

    assert clock.slept == pytest.approx(4.0)


def test_one_long_piece_is_followed_by_a_short_rest_and_an_hours_work_ends_within_its_hour(clock: Clock) -> None:
    rest = Leisure(lambda: True)

    clock.now += 60
    rest()
    after_one = clock.slept
    for _ in range(3_000):
        clock.now += 1
        rest()

    assert after_one == pytest.approx(2.0)
    assert clock.slept == pytest.approx(1_800.0)


def test_the_end_of_its_process_ends_a_rest_at_once(clock: Clock) -> None:
    rest = Leisure(lambda: clock.slept < 0.3)
    clock.now += 0.5

    with pytest.raises(SenderStopping):
        rest()

    assert clock.slept < 1


def test_it_rests_in_fact() -> None:
    rest = Leisure(lambda: True)
    began = time.monotonic()
    while time.monotonic() < began + 0.05:
        pass

    rest()

    assert time.monotonic() - began >= 0.25
