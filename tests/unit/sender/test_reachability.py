"""Whether a provider can be reached, as its connections tell."""

from dataclasses import dataclass, field

import pytest

from sender.reachability import Reachability


@dataclass
class Told:
    """A clock that is moved by hand, and what was told."""

    now: float = 100.0
    not_reached: list[str] = field(default_factory=list)

    def reachability(self) -> Reachability:
        return Reachability(["smtp", "ses"], self.not_reached.append, lambda: self.now)


@pytest.fixture
def told() -> Told:
    return Told()


def fail(reachability: Reachability, told: Told) -> None:
    reachability.trying("smtp", since=told.now)
    reachability.failed("smtp", since=told.now)


def test_a_provider_that_is_silent_is_out_of_reach_until_it_answers(told: Told) -> None:
    reachability = told.reachability()
    reachability.trying("smtp", since=told.now)
    assert not reachability.out_of_reach("smtp")

    told.now += 2.1
    silent = reachability.out_of_reach("smtp"), reachability.out_of_reach("ses")
    reachability.reached("smtp")

    assert silent == (True, False)
    assert not reachability.out_of_reach("smtp")
    assert not told.not_reached


def test_what_fails_is_tried_again_after_growing_pauses(told: Told) -> None:
    reachability, pauses = told.reachability(), []
    for _ in range(6):
        fail(reachability, told)
        began = told.now
        assert reachability.out_of_reach("smtp")
        while not reachability.to_be_tried():
            told.now += 1
        pauses.append(told.now - began)

    assert pauses == [1, 2, 5, 5, 5, 5]
    assert told.not_reached == ["smtp"] * 6
    assert reachability.to_be_tried() == ["smtp"]
    reachability.trying("smtp", since=told.now)
    assert not reachability.to_be_tried()


def test_hundreds_that_fail_together_are_reported_once(told: Told) -> None:
    reachability = told.reachability()

    for _ in range(300):
        fail(reachability, told)

    assert told.not_reached == ["smtp"]


def test_one_that_gets_through_makes_up_for_all_that_failed(told: Told) -> None:
    reachability = told.reachability()
    fail(reachability, told)

    reachability.trying("smtp", since=told.now)
    reachability.reached("smtp")

    assert not reachability.out_of_reach("smtp")


def test_many_are_opened_once_more_after_the_first_failure_and_then_one_now_and_then(told: Told) -> None:
    reachability = told.reachability()
    assert reachability.may_open("smtp")

    for _ in range(8):
        fail(reachability, told)

    assert reachability.may_open("smtp")
    assert not reachability.may_open("smtp")
    told.now += 3_600
    assert not reachability.may_open("smtp")
    reachability.reached("smtp")
    assert reachability.may_open("smtp")


def test_one_that_answers_and_refuses_us_is_asked_ever_less_up_to_once_a_minute(told: Told) -> None:
    reachability, pauses = told.reachability(), []
    for _ in range(8):
        reachability.trying("smtp", since=told.now)
        reachability.failed("smtp", since=told.now, refused=True)
        began = told.now
        while not reachability.to_be_tried():
            told.now += 1
        pauses.append(told.now - began)

    assert pauses == [1, 2, 5, 10, 30, 60, 60, 60]


def test_one_that_wants_no_more_connections_than_stand_is_not_out_of_reach(told: Told) -> None:
    reachability = told.reachability()
    reachability.trying("smtp", since=told.now)
    reachability.failed("smtp", since=told.now, others_open=True)

    assert not reachability.out_of_reach("smtp")
    assert not told.not_reached
