"""Daily, Weekdays, Weekly, Monthly: cron expressions to the domain, and back again on the form."""

import pytest

from web.forms.everyday import Everyday, everyday_of, expression_of, problems_of


@pytest.mark.parametrize(
    ("chosen", "expression"),
    [
        (Everyday("daily", "09:00"), "0 9 * * *"),
        (Everyday("weekdays", "00:05"), "5 0 * * 1-5"),
        (Everyday("weekly", "23:59", weekdays=["3", "1"]), "59 23 * * 1,3"),
        (Everyday("weekly", "09:00", weekdays=["0"]), "0 9 * * 0"),
        (Everyday("monthly", "09:00", day="31"), "0 9 31 * *"),
    ],
)
def test_an_everyday_recurrence_is_a_cron_expression_and_comes_back_as_it_was(
    chosen: Everyday, expression: str
) -> None:
    back = everyday_of(expression)

    assert expression_of(chosen) == expression
    assert back is not None
    assert (back.kind, back.clock, set(back.weekdays), back.day) == (
        chosen.kind,
        chosen.clock,
        set(chosen.weekdays),
        chosen.day,
    )


@pytest.mark.parametrize(
    "expression",
    ["*/5 9 * * *", "0 9 1 * 1", "0 9 * 1 *", "00 9 * * *", "0 9 * * 3,1", "0 9 * * MON", "0 24 * * *", "0 9 0 * *"],
)
def test_any_other_cron_expression_stays_one(expression: str) -> None:
    assert everyday_of(expression) is None


@pytest.mark.parametrize(
    ("chosen", "fields"),
    [
        (Everyday("daily", ""), {"clock"}),
        (Everyday("daily", "25:00"), {"clock"}),
        (Everyday("weekly", "09:00", weekdays=["9"]), {"weekdays"}),
        (Everyday("monthly", "9", day="32"), {"clock", "day"}),
        (Everyday("monthly", "9:00", day="1"), set()),
    ],
)
def test_each_field_that_cannot_be_read_has_its_own_message(chosen: Everyday, fields: set[str]) -> None:
    assert problems_of(chosen).keys() == fields
