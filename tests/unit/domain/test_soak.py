"""The arithmetic of `make soak`: what grows, what is flat, what nobody can tell; and what is doubled or lost."""

import random

import pytest

from benchmarks.soak.book import CAMPAIGN, Book
from benchmarks.soak.slopes import Shape, slope


def figures(an_hour: float, *, noise: float, minutes: int = 60) -> list[tuple[float, float]]:
    """Half a minute apart, above and below the line in turn."""
    places = range(minutes * 2)
    return [(place * 30.0, 90 + an_hour * place / 120 + noise * (-1) ** place) for place in places]


def test_a_straight_line_has_its_own_slope_and_no_error() -> None:
    found = slope(figures(12, noise=0))

    assert (found.an_hour, found.error) == (pytest.approx(12), pytest.approx(0, abs=1e-9))
    assert (found.begins, found.ends) == (pytest.approx(90), pytest.approx(102, rel=0.01))


@pytest.mark.parametrize(
    ("an_hour", "noise", "minutes", "shape"),
    [
        (0, 1, 60, Shape.FLAT),
        (-20, 1, 60, Shape.FLAT),
        (12, 1, 60, Shape.GROWS),
        (0, 30, 15, Shape.UNCLEAR),
        (12, 30, 15, Shape.UNCLEAR),
    ],
)
def test_growth_is_told_from_none_where_the_noise_allows_it(
    an_hour: float, noise: float, minutes: int, shape: Shape
) -> None:
    assert slope(figures(an_hour, noise=noise, minutes=minutes)).shape(4.0) == shape


def test_a_figure_that_wanders_is_less_sure_than_one_that_jumps() -> None:
    rng = random.Random(5)
    steps = [rng.gauss(0, 1) for _ in range(120)]
    wanders = [(30.0 * number, sum(steps[: number + 1])) for number in range(120)]
    jumps = [(at, figure) for (at, _), (_, figure) in zip(wanders, rng.sample(wanders, 120), strict=True)]

    assert slope(wanders).error > 2 * slope(jumps).error


class Witness:
    """Its record, in the order in which copies went out."""

    def __init__(self, *copies: tuple[str, str]) -> None:
        self.copies = copies

    def mails(self, *, after: int) -> list[dict[str, object]]:
        told = {"user_variables": '{"run": "run_1"}', "accepted_at": 100.5}
        found = [told | {"id": n, "subject": s, "recipient": to} for n, (s, to) in enumerate(self.copies, start=1)]
        return found[after:]

    def record(self) -> dict[str, int]:
        return {"webhooks_waiting": 0}


def test_a_reset_that_is_out_before_its_promise_is_read_is_timed_and_not_lost() -> None:
    book = Book(Witness(("s4", "a@example.org")))

    book.read()
    book.promised("s4", due_at=100.0, reset=True)

    assert (book.arrived, book.waiting(), book.times().resets) == (1, 0, [500.0])


def test_a_second_copy_is_doubled_and_a_missing_one_is_waited_for() -> None:
    book = Book(Witness(("s1", "a@example.org"), ("s1", "a@example.org"), *[(CAMPAIGN, "bo@example.org")] * 2))
    for mark in ("s1", "s2"):
        book.promised(mark, due_at=100.0, reset=False)

    book.read()

    assert (book.arrived, book.waiting(), book.doubled) == (1, 1, 2)
    assert book.campaign() == {"run_1": 1}


def test_a_few_points_are_no_slope() -> None:
    with pytest.raises(ValueError, match="too few"):
        slope(figures(0, noise=1, minutes=3))
