"""Planning and claiming never work in one lane at the same time."""

from unittest.mock import MagicMock

import pytest

from mailroom.domain.ids import Lane
from sender.lane_turns import LaneTurns

A, B = Lane("schedule/a"), Lane("schedule/b")


def test_claiming_gets_the_lanes_in_which_nothing_is_being_planned() -> None:
    turns = LaneTurns()

    with turns.plan_in([A]) as planning, turns.claim_in([A, B]) as claiming:
        assert (planning.lanes, claiming.lanes) == ({A}, {B})

    with turns.claim_in([A, B]) as claiming:
        assert claiming.lanes == {A, B}


def test_planning_gets_the_lanes_in_which_nothing_is_being_claimed_and_is_woken_when_they_are_free() -> None:
    turns, told = LaneTurns(), MagicMock()
    turns.on_lanes_free(told)

    with turns.claim_in([A]) as claiming:
        with turns.plan_in([A, B]) as planning:
            assert planning.lanes == {B}
        told.assert_not_called()
        claiming.end()

        told.assert_called_once_with()
        with turns.plan_in([A]) as planning:
            assert planning.lanes == {A}
    told.assert_called_once_with()


def test_a_turn_that_has_ended_gives_nothing_back_that_another_has_taken_since() -> None:
    turns = LaneTurns()
    with turns.claim_in([A]) as claiming:
        claiming.end()
        planning = turns.plan_in([A])

    assert turns.claim_in([A]).lanes == set()
    planning.end()
    assert turns.claim_in([A]).lanes == {A}


def test_after_a_chunk_the_lane_is_left_to_claiming_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, now = LaneTurns(), 100.0
    monkeypatch.setattr("sender.lane_turns.time.monotonic", lambda: now)
    turns.yield_to_claiming([A])

    assert turns.plan_in([A, B]).lanes == {B}
    now += 0.2
    assert turns.plan_in([A]).lanes == {A}


def test_a_claim_ends_that_moment() -> None:
    turns = LaneTurns()
    turns.yield_to_claiming([A])

    with turns.claim_in([A]):
        pass

    assert turns.plan_in([A]).lanes == {A}


def test_a_lane_that_claiming_passed_over_is_left_to_it_after_the_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sender.lane_turns._YIELD_S", 60.0)
    turns = LaneTurns()

    with turns.plan_in([A, B]):
        assert turns.being_planned == {A, B}
        assert turns.claim_in([A]).lanes == set()

    assert turns.plan_in([A, B]).lanes == {B}


def test_a_lane_in_which_claiming_knows_of_mail_that_waits_is_left_to_it_after_the_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sender.lane_turns._YIELD_S", 60.0)
    turns = LaneTurns()

    with turns.plan_in([A]):
        turns.pass_over([A, B])

    assert turns.being_planned == set()
    assert turns.plan_in([A, B]).lanes == {B}


def test_planning_is_woken_for_a_lane_that_it_asked_for_before_others() -> None:
    turns, told = LaneTurns(), MagicMock()
    turns.on_lanes_free(told)

    with turns.claim_in([A]):
        turns.plan_in([A]).end()
        turns.plan_in([B]).end()

    told.assert_called_once_with()
