"""How far a sender looks back for dispatches that are due."""

from datetime import UTC, datetime, timedelta

import pytest

from mailroom.domain.ids import Lane
from sender.look_back import LookBack

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LANES = [Lane("mail/0"), Lane("schedule/s")]


def looked_at_all() -> LookBack:
    look_back = LookBack()
    look_back.saw_all(LANES, through=NOON, at=100.0)
    return look_back


def test_a_look_begins_shortly_before_the_end_of_the_one_that_saw_all() -> None:
    assert LookBack().since(LANES, at=100.0) is None
    assert looked_at_all().since(LANES, at=100.0) == NOON - timedelta(seconds=0.5)


def test_a_look_at_what_is_new_moves_the_beginning_of_the_next() -> None:
    look_back = looked_at_all()
    look_back.saw_new(through=NOON + timedelta(seconds=1))

    assert look_back.since(LANES, at=100.0) == NOON + timedelta(seconds=0.5)


def test_after_a_look_that_failed_the_next_one_is_at_all() -> None:
    look_back = looked_at_all()
    look_back.forget()

    assert look_back.since(LANES, at=100.0) is None


def test_once_a_second_a_look_is_at_all() -> None:
    look_back, looks = LookBack(), []
    for tenths in range(25):
        at = 100 + tenths / 10
        looks.append(look_back.since(LANES, at=at))
        if looks[-1] is None:
            look_back.saw_all(LANES, through=NOON, at=at)
        else:
            look_back.saw_new(through=NOON)

    assert [number for number, look in enumerate(looks) if look is None] == [0, 10, 20]


def test_after_a_lane_was_added_the_next_look_is_at_all() -> None:
    assert looked_at_all().since([*LANES, Lane("mail/1")], at=100.0) is None


def test_a_lane_that_has_gone_changes_nothing() -> None:
    assert looked_at_all().since(LANES[:1], at=100.0) is not None


def test_what_became_visible_late_is_looked_at_from_its_beginning_until_a_look_has_seen_it() -> None:
    look_back = looked_at_all()
    look_back.became_visible(since=NOON - timedelta(seconds=5))
    look_back.became_visible(since=NOON - timedelta(seconds=3))

    assert look_back.since(LANES, at=100.0) == NOON - timedelta(seconds=5)
    assert look_back.since(LANES, at=100.0) == NOON - timedelta(seconds=5)
    look_back.saw_new(through=NOON)
    assert look_back.since(LANES, at=100.0) == NOON - timedelta(seconds=0.5)


def test_where_it_was_asked_for_the_next_look_at_all_comes_a_tenth_of_a_second_after_the_last() -> None:
    look_back = looked_at_all()
    look_back.look_at_all_soon()

    assert look_back.since(LANES, at=100.05) is not None
    assert look_back.since(LANES, at=100.1) is None


def test_where_each_look_brings_nothing_the_time_between_them_doubles_up_to_a_second() -> None:
    look_back, looks = looked_at_all(), []
    for hundredths in range(400):
        at = 100 + hundredths / 100
        look_back.look_at_all_soon()
        if look_back.since(LANES, at=at) is None:
            looks.append(round(at - 100, 2))
            look_back.saw_all(LANES, through=NOON, at=at)

    assert looks == pytest.approx([0.1, 0.3, 0.7, 1.5, 2.5, 3.5], abs=0.02)
