"""How many senders the due work wants."""

import pytest

from mailroom.domain.capacity import senders_wanted


@pytest.mark.parametrize(
    ("free", "lanes", "wanted", "why"),
    [
        (0, 0, 1, "nothing to do: one stays for what comes"),
        (480, 16, 1, "eight calls at a time, a second each, a minute"),
        (481, 16, 2, "one more than a sender does in a minute"),
        (48_000, 16, 16, "a lane is drained by one sender at a time"),
        (48_000, 1, 1, "one large campaign wants no second sender"),
    ],
)
def test_as_many_as_work_it_off_within_a_minute_and_no_more_than_lanes(
    free: int, lanes: int, wanted: int, why: str
) -> None:
    assert senders_wanted(free, lanes, calls_at_once=8) == wanted, why
