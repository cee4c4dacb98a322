"""How far a sender looks back for dispatches that are due."""

from datetime import UTC, datetime, timedelta

from mailroom.domain.ids import Lane
from sender.look_back import LookBack

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LANES = [Lane("mail/0"), Lane("schedule/s")]


def test_a_look_begins_shortly_before_the_end_of_the_one_that_left_nothing() -> None:
    look_back = LookBack()
    assert look_back.since(LANES, at=100.0) is None
    look_back.left_nothing(through=NOON)

    since = look_back.since(LANES, at=100.0)

    assert since == NOON - timedelta(seconds=0.5)


def test_after_a_look_that_left_something_or_failed_all_is_looked_at() -> None:
    look_back = LookBack()
    look_back.since(LANES, at=100.0)
    look_back.left_nothing(through=NOON)
    look_back.since(LANES, at=100.0)

    assert look_back.since(LANES, at=100.0) is None


def test_all_is_looked_at_once_a_second() -> None:
    look_back, looks = LookBack(), []
    for tenths in range(40):
        looks.append(look_back.since(LANES, at=100 + tenths / 10))
        look_back.left_nothing(through=NOON)

    assert sum(since is None for since in looks) == 4


def test_a_lane_that_has_come_is_looked_at_from_its_beginning() -> None:
    look_back = LookBack()
    look_back.since(LANES, at=100.0)
    look_back.left_nothing(through=NOON)

    assert look_back.since([*LANES, Lane("mail/1")], at=100.0) is None


def test_a_lane_that_has_gone_changes_nothing() -> None:
    look_back = LookBack()
    look_back.since(LANES, at=100.0)
    look_back.left_nothing(through=NOON)

    assert look_back.since(LANES[:1], at=100.0) is not None


def test_what_became_visible_late_is_looked_at_once_from_its_beginning() -> None:
    look_back = LookBack()
    look_back.since(LANES, at=100.0)
    look_back.left_nothing(through=NOON)
    look_back.became_visible(since=NOON - timedelta(seconds=5))
    look_back.became_visible(since=NOON - timedelta(seconds=3))

    assert look_back.since(LANES, at=100.0) == NOON - timedelta(seconds=5)
    look_back.left_nothing(through=NOON)
    assert look_back.since(LANES, at=100.0) == NOON - timedelta(seconds=0.5)
