"""The order in which a run is planned in slices, and the batches that it is cut into."""

import random
from itertools import groupby

import pytest

from mailroom.domain.slice_places import SlicePlace, left_of, whole_batches


@pytest.mark.parametrize(
    "place",
    [
        SlicePlace(),
        SlicePlace("ann@example.org"),
        SlicePlace("", "zoe@example.org", "20261201T080000Z", "bo@example.org"),
    ],
)
def test_a_place_is_read_as_it_was_written(place: SlicePlace) -> None:
    assert SlicePlace.read(str(place)) == place


def test_planning_that_has_not_begun_stands_before_everybody() -> None:
    assert SlicePlace.read("") == SlicePlace()
    assert left_of([("1", "ann"), ("2", "bo")], SlicePlace()) == [("1", "ann"), ("2", "bo")]


def test_behind_a_window_the_next_one_begins_where_it_ended() -> None:
    assert SlicePlace("ann", "zoe", "1", "bo").behind == SlicePlace(after="zoe")


@pytest.mark.parametrize(
    ("slices", "batch_size", "goes_on", "count"),
    [
        ("", 10, False, 0),
        ("aaab", 2, False, 4),  # nothing of the window is left: all of them
        ("aaabb", 2, True, 5),
        ("aaabbb", 2, True, 5),  # the third b comes with the next ones
        ("aab", 10, True, 2),
        ("aaa", 10, True, 3),  # less than a batch, and nothing before it
        ("aaaa", 3, True, 3),
        ("aaaa", 1, True, 4),
    ],
)
def test_what_comes_next_fills_whole_batches(slices: str, batch_size: int, goes_on: bool, count: int) -> None:
    assert whole_batches(slices, batch_size, goes_on=goes_on) == count


@pytest.mark.parametrize("seed", range(20))
def test_each_recipient_is_planned_once_wherever_planning_begins_again(seed: int) -> None:
    chance = random.Random(seed)
    order = sorted((chance.choice("abcdefg"), f"r{n:04d}") for n in range(chance.randrange(1, 400)))
    page, batch_size, place = chance.randrange(1, 120), chance.randrange(1, 60), SlicePlace("", "r9999")
    planned: list[tuple[str, str]] = []
    calls = 0

    while left := left_of(order, place):
        chosen, rest = left[:page], left[page:]
        goes_on = bool(rest) and rest[0][0] == chosen[-1][0]
        count = whole_batches([slice_ for slice_, _ in chosen], batch_size, goes_on=goes_on)
        planned += chosen[:count]
        calls += sum(-(-len(list(of)) // batch_size) for _, of in groupby(chosen[:count], key=lambda one: one[0]))
        place = SlicePlace.read(str(place.at(*chosen[count - 1])))

    assert planned == order
    fewest = sum(-(-len(list(of)) // batch_size) for _, of in groupby(order, key=lambda one: one[0]))
    assert calls == fewest or page < batch_size
