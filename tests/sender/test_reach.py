"""Whether a provider can be reached, as its connections tell."""

from dataclasses import dataclass, field

import pytest

from sender.reach import Reach


@dataclass
class Told:
    """A clock that is moved by hand, and what was told."""

    now: float = 100.0
    not_reached: list[str] = field(default_factory=list)

    def reach(self) -> Reach:
        return Reach(["smtp", "ses"], self.not_reached.append, lambda: self.now)


@pytest.fixture
def told() -> Told:
    return Told()


def fail(reach: Reach, told: Told) -> None:
    reach.trying("smtp", since=told.now)
    reach.failed("smtp", since=told.now)


def test_a_provider_that_is_silent_is_out_of_reach_until_it_answers(told: Told) -> None:
    reach = told.reach()
    reach.trying("smtp", since=told.now)
    assert not reach.out_of_reach("smtp")

    told.now += 2.1
    silent = reach.out_of_reach("smtp"), reach.out_of_reach("ses")
    reach.reached("smtp", since=100.0)

    assert silent == (True, False)
    assert not reach.out_of_reach("smtp")
    assert not told.not_reached


def test_what_fails_is_tried_again_after_growing_pauses(told: Told) -> None:
    reach, pauses = told.reach(), []
    for _ in range(6):
        fail(reach, told)
        began = told.now
        assert reach.out_of_reach("smtp")
        while not reach.to_be_tried():
            told.now += 1
        pauses.append(told.now - began)

    assert pauses == [1, 2, 5, 5, 5, 5]
    assert told.not_reached == ["smtp"] * 6
    assert reach.to_be_tried() == ["smtp"]
    reach.trying("smtp", since=told.now)
    assert not reach.to_be_tried()


def test_hundreds_that_fail_together_are_told_once(told: Told) -> None:
    reach = told.reach()

    for _ in range(300):
        fail(reach, told)

    assert told.not_reached == ["smtp"]


def test_one_that_gets_through_makes_up_for_all_that_failed(told: Told) -> None:
    reach = told.reach()
    fail(reach, told)

    reach.trying("smtp", since=told.now)
    reach.reached("smtp", since=told.now)

    assert not reach.out_of_reach("smtp")


def test_many_are_opened_once_more_after_the_first_failure_and_then_one_now_and_then(told: Told) -> None:
    reach = told.reach()
    assert reach.may_open("smtp")

    for _ in range(8):
        fail(reach, told)

    assert reach.may_open("smtp")
    assert not reach.may_open("smtp")
    told.now += 3_600
    assert not reach.may_open("smtp")
    reach.reached("smtp", since=told.now)
    assert reach.may_open("smtp")


def test_one_that_answers_and_refuses_us_is_asked_ever_less_up_to_once_a_minute(told: Told) -> None:
    reach, pauses = told.reach(), []
    for _ in range(8):
        reach.trying("smtp", since=told.now)
        reach.failed("smtp", since=told.now, refused=True)
        began = told.now
        while not reach.to_be_tried():
            told.now += 1
        pauses.append(told.now - began)

    assert pauses == [1, 2, 5, 10, 30, 60, 60, 60]


def test_one_that_wants_no_more_connections_than_stand_is_not_out_of_reach(told: Told) -> None:
    reach = told.reach()
    reach.trying("smtp", since=told.now)
    reach.failed("smtp", since=told.now, others_stand=True)

    assert not reach.out_of_reach("smtp")
    assert not told.not_reached
