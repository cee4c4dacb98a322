"""How fast a provider lets a sender go, by its answers alone. The clock is the test's."""

from itertools import pairwise

from sender.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def a_pace() -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(["smtp", "ses"], clock), clock


def play(pace: Pace, clock: Clock, *, seconds: float, allowed_per_s: int, at_once: int = 50) -> tuple[int, int]:
    """A provider that takes so many in each second, and mail that never ends. Returns (taken, refused)."""
    taken = refused = in_second = 0
    second = int(clock.now)
    for _ in range(int(seconds * 20)):
        clock.now += 0.05
        if int(clock.now) != second:
            second, in_second = int(clock.now), 0
        for _ in range(pace.admit("smtp", at_once)):
            if in_second < allowed_per_s:
                in_second, taken = in_second + 1, taken + 1
                pace.accepted("smtp", 1)
            else:
                refused += 1
                pace.too_fast("smtp", None)
    return taken, refused


def test_nothing_is_held_back_while_nobody_complains() -> None:
    pace, _ = a_pace()

    assert pace.admit("smtp", 1_000) == 1_000
    assert pace.open("smtp")


def test_a_provider_that_takes_ten_a_second_gets_most_of_them_and_little_more() -> None:
    pace, clock = a_pace()

    play(pace, clock, seconds=5, allowed_per_s=10)
    taken, refused = play(pace, clock, seconds=60, allowed_per_s=10)

    assert taken >= 300
    assert refused <= taken / 10


def test_one_that_finds_us_too_fast_is_left_alone_for_a_second_and_others_are_not() -> None:
    pace, clock = a_pace()
    pace.accepted("smtp", 10)

    pause_s = pace.too_fast("smtp", None)

    assert 1 <= pause_s <= 2
    assert pace.admit("smtp", 5) == 0
    assert pace.admit("ses", 5) == 5
    clock.now += 2
    assert 1 <= pace.admit("smtp", 50) <= 10


def test_its_room_is_what_would_be_admitted() -> None:
    pace, clock = a_pace()
    assert pace.room("smtp") is None
    pace.accepted("smtp", 10)
    pace.too_fast("smtp", None)
    assert pace.room("smtp") == 0

    clock.now += 2

    room = pace.room("smtp")
    assert room
    assert pace.admit("smtp", 50) == room
    assert pace.room("smtp") == 0


def test_it_names_a_pause_and_has_it_up_to_a_minute() -> None:
    pace, _ = a_pace()

    assert pace.too_fast("smtp", 30.0) == 30.0
    assert Pace(["smtp"], lambda: 0.0).too_fast("smtp", 86_400.0) == 60.0


def test_one_that_takes_nothing_is_asked_by_one_call_after_pauses_that_grow() -> None:
    pace, clock = a_pace()
    asked: list[float] = []

    for _ in range(20 * 600):
        clock.now += 0.05
        admitted = pace.admit("smtp", 8)
        asked += [clock.now] * admitted
        for _ in range(admitted):
            pace.refused("smtp")

    pauses = [pause for earlier, later in pairwise(asked) if (pause := round(later - earlier))]
    assert len(asked) < 30  # in ten minutes
    assert pauses == sorted(pauses)
    assert 55 < pauses[-1] < 65


def test_calls_that_fail_together_are_one_failure() -> None:
    pace, clock = a_pace()

    for _ in range(100):
        pace.refused("smtp")

    clock.now += 1.5
    assert pace.open("smtp")


def test_one_dialogue_that_breaks_holds_up_nothing_and_several_in_a_row_do() -> None:
    pace, _ = a_pace()

    pace.broke("smtp")
    assert pace.open("smtp")
    for _ in range(4):
        pace.broke("smtp")
    assert not pace.open("smtp")


def test_a_mail_that_is_taken_ends_it_all() -> None:
    pace, clock = a_pace()
    for _ in range(9):
        pace.refused("smtp")
        clock.now += 61

    assert pace.admit("smtp", 9) == 1
    pace.accepted("smtp", 1)

    clock.now += 1.1
    assert pace.admit("smtp", 9) == 9
