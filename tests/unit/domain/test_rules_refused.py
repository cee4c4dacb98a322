"""What RFC 5545 and cron forbid or leave open is refused, with what to write; what they allow is taken."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from mailroom.domain.errors import InvalidInput
from mailroom.domain.recurrence import parts
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.recurrence.upcoming import upcoming

NOW = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)  # a Wednesday


def dates(expression: str, count: int, start: datetime | None = datetime(2026, 1, 7, 9)) -> list[str]:
    rule = check_recurrence(kind="rrule", time_zone="UTC", now=NOW, expression=expression, starts_at=start)
    after = start.replace(tzinfo=UTC) - timedelta(seconds=1) if start else NOW
    return [f"{at:%Y-%m-%d}" for at in islice(upcoming(rule, after), count)]


def refused(kind: str, expression: str) -> str:
    with pytest.raises(InvalidInput) as error:
        check_recurrence(kind=kind, time_zone="UTC", now=NOW, expression=expression)
    (fault,) = error.value.faults
    assert fault.path == "recurrence.expression"
    return fault.message


WRONG_VALUES = {
    "BYSECOND": ["61", "-1", "1,61", "x", "1.5", "٣"],
    "BYMINUTE": ["60", "-1", "0,60", "+5"],
    "BYHOUR": ["24", "-1", "9,24"],
    "BYMONTHDAY": ["0", "32", "-32", "1,0", "-0", "1,,2", "99999999999999999999"],
    "BYYEARDAY": ["0", "367", "-367", "100,0"],
    "BYWEEKNO": ["0", "54", "-54", "20,0"],
    "BYMONTH": ["0", "13", "-1", "1,13"],
    "BYSETPOS": ["0", "367", "-367", "1,0"],
    "BYDAY": ["0MO", "99MO", "54MO", "-54MO", "XX", "MO,99MO", "1", "MO,", "+MO", "1.5MO"],
    "WKST": ["XX", "1MO", "0"],
    "INTERVAL": ["0", "-1", "1.5", "100001", "9" * 40],
    "COUNT": ["0", "-1", "x"],
    "UNTIL": ["2026", "20261301", "tomorrow", "99991231", "20260101T25"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG_VALUES.items() for value in values]
)
def test_a_value_outside_the_rfcs_range_is_refused_in_every_place_of_a_list(name: str, value: str) -> None:
    for frequency in parts.FREQUENCIES:
        assert name in refused("rrule", f"FREQ={frequency};{name}={value}")


# RFC 5545 3.3.10: 'N/A' in its table, and its notes on numbered weekdays.
FORBIDDEN = [
    "FREQ=WEEKLY;BYMONTHDAY=1",
    *(f"FREQ={frequency};BYYEARDAY=100" for frequency in ("DAILY", "WEEKLY", "MONTHLY")),
    *(f"FREQ={frequency};BYWEEKNO=20" for frequency in ("MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY")),
    *(f"FREQ={frequency};BYDAY=1MO" for frequency in ("MINUTELY", "HOURLY", "DAILY", "WEEKLY")),
    *(f"FREQ={frequency};BYDAY=TU,-1MO" for frequency in ("MINUTELY", "HOURLY", "DAILY", "WEEKLY")),
    "FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO",
    *(f"FREQ={frequency};BYSETPOS=1" for frequency in parts.FREQUENCIES),
    "FREQ=DAILY;COUNT=3;UNTIL=20300101",
]


@pytest.mark.parametrize("expression", FORBIDDEN)
def test_a_part_that_does_not_go_with_its_frequency_is_refused(expression: str) -> None:
    refused("rrule", expression)


@pytest.mark.parametrize(
    "expression", ["FREQ=MONTHLY;BYDAY=6MO", "FREQ=MONTHLY;BYDAY=1MO,-53MO", "FREQ=YEARLY;BYMONTH=3;BYDAY=20MO"]
)
def test_a_weekday_that_no_month_has_so_often_is_refused(expression: str) -> None:
    assert "write 1 to 5" in refused("rrule", expression)


@pytest.mark.parametrize("more", ["", ";BYDAY=FR", ";BYYEARDAY=15", ";BYWEEKNO=20", ";BYSETPOS=1"])
def test_a_yearly_day_of_the_month_without_its_month_is_refused_with_what_to_write(more: str) -> None:
    message = refused("rrule", f"FREQ=YEARLY;BYMONTHDAY=15{more}")

    assert "FREQ=MONTHLY;BYMONTHDAY=15" in message
    assert "BYMONTH=1" in message


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FREQ=YEARLY;BYWEEKNO=20", ["2026-05-13", "2027-05-19", "2028-05-17"]),  # Wednesdays, as the start
        ("FREQ=YEARLY;BYWEEKNO=1,53;BYMONTH=1", ["2027-01-06", "2028-01-05", "2029-01-03"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", ["2026-05-11", "2027-05-17", "2028-05-15"]),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", ["2026-01-12", "2026-01-19"]),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-09", "2026-01-16"]),
        ("FREQ=WEEKLY;WKST=WE;BYDAY=MO,WE,FR;BYSETPOS=1", ["2026-01-07", "2026-01-14"]),
        ("FREQ=WEEKLY;WKST=WE;BYDAY=MO,WE,FR;BYSETPOS=-1;INTERVAL=2", ["2026-01-12", "2026-01-26"]),
        ("FREQ=MONTHLY;BYDAY=1MO,-1MO,WE", ["2026-01-07", "2026-01-14", "2026-01-21", "2026-01-26", "2026-01-28"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["2026-02-13", "2026-03-13", "2026-11-13"]),
        ("FREQ=DAILY;BYHOUR=6,18;BYSETPOS=-1;BYMONTH=2", ["2026-02-01", "2026-02-02"]),
        ("FREQ=HOURLY;INTERVAL=36;BYDAY=MO", ["2026-01-19", "2026-01-26"]),
        ("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=8", ["2026-01-08", "2027-01-08"]),
        ("FREQ=YEARLY;BYDAY=20MO", ["2026-05-18", "2027-05-17"]),
    ],
)
def test_days_are_chosen_as_the_rfc_says(expression: str, expected: list[str]) -> None:
    assert dates(expression, len(expected)) == expected


def test_the_sixtieth_second_is_read_as_the_last_one_where_there_are_no_leap_seconds() -> None:
    assert parts.read("FREQ=DAILY;BYSECOND=60").by_second == (59,)


@pytest.mark.parametrize("frequency", parts.FREQUENCIES)
@pytest.mark.parametrize("count", [1, 3])
def test_a_count_without_a_start_gives_as_many_runs(frequency: str, count: int) -> None:
    rule = check_recurrence(kind="rrule", time_zone="UTC", now=NOW, expression=f"FREQ={frequency};COUNT={count}")

    assert len(list(upcoming(rule, NOW))) == count


@pytest.mark.parametrize("expression", ["FREQ=DAILY;COUNT=3", "FREQ=HOURLY;COUNT=3", "FREQ=HOURLY;COUNT=3;BYMINUTE=0"])
def test_a_count_from_a_start_includes_it_and_is_the_same_from_wherever_it_is_asked(expression: str) -> None:
    rule = check_recurrence(
        kind="rrule", time_zone="UTC", now=NOW, expression=expression, starts_at=datetime(2026, 12, 1, 9)
    )

    instants = list(upcoming(rule, NOW))

    assert len(instants) == 3
    assert instants[0] == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert list(upcoming(rule, instants[0])) == instants[1:]


CRON_REFUSED = {
    "*/90 * * * *": "kind 'every' with 5400 seconds",
    "*/61 * * * *": "bad minute",
    "0 */25 * * *": "bad hour",
    "0 0 */32 * *": "bad day-of-month",
    "0 0 * */13 *": "bad month",
    "0 0 * * */8": "bad day-of-week",
    "10-20/12 * * * *": "larger than the range 10 to 20",
    "55/6 * * * *": "larger than the range 55 to 59",
    "0 0 1 6-8/4 *": "bad month",
    "*/0 * * * *": "a step is a whole number",
    "*/x * * * *": "a step is a whole number",
    "*/5/2 * * * *": "a step is a whole number",
    "*/ * * * *": "a step is a whole number",
    "0 0 L/2 * *": "takes no step; write L",
    "0 0 LW/2 * *": "takes no step",
    "0 0 1,L/2 * *": "takes no step",
    "0 0 * * 1#2/2": "takes no step",
    "0 0 * * 5L/2": "takes no step",
    "20-10 * * * *": "runs backwards; write 20-59,0-10",
    "0 22-6 * * *": "write 22-23,0-6",
    "0 0 * * FRI-MON": "runs backwards",
    "0 0 * DEC-FEB *": "runs backwards",
    "MON * * * *": "bad minute",
    "0 0 * MON *": "bad month",
    "0 0 * * JAN": "bad day-of-week",
    "0 0 JAN * *": "bad day-of-month",
    "0 0 * * MONDAY": "bad day-of-week",
    "0 0 * * 8": "bad day-of-week",
    "0 0 * * 1#6": "bad day-of-week",
    "0 0 * * 1#0": "bad day-of-week",
    "0 0 * * L": "bad day-of-week",
    "0 0 0 * *": "bad day-of-month",
    "0 0 L-3 * *": "bad day-of-month",
    "0 0 W * *": "bad day-of-month",
    "0 0 15W * *": "bad day-of-month",
    "0 0 ? * *": "bad day-of-month",
    "-5 * * * *": "bad minute",
    "1,,2 * * * *": "bad minute",
    "1-2-3 * * * *": "bad minute",
    "*-5 * * * *": "bad minute",
    "٣ * * * *": "bad minute",
    "99999999999999999999 * * * *": "bad minute",
    "@daily": "five fields",
}


@pytest.mark.parametrize(("expression", "words"), CRON_REFUSED.items())
def test_a_cron_field_that_would_be_read_otherwise_than_it_is_written_is_refused(expression: str, words: str) -> None:
    assert words in refused("cron", expression)


@pytest.mark.parametrize(
    "expression",
    [
        "*/60 * * * *",
        "0 */24 * * *",
        "0 0 */31 * *",
        "0 0 1 */12 *",
        "0 0 * * */7",
        "5/15 * * * *",
        "10-20/11 * * * *",
        "0,30 9-17 * * MON-FRI",
        "0 0 L * *",
        "0 0 LW * *",
        "0 0 1,L * *",
        "0 0 * * 1#2,5L",
        "0 0 * * mon#1",
        "0 0 * jan-mar/2 sun-sat",
        "0 0 * * 0-7",
        "0 0 29 2 *",
    ],
)
def test_a_cron_expression_that_says_one_thing_is_taken(expression: str) -> None:
    assert check_recurrence(kind="cron", time_zone="UTC", now=NOW, expression=expression)


@pytest.mark.parametrize("expression", ["FREQ=MONTHLY;BYMONTHDAY=0", "FREQ=DAILY;BYHOUR=25", "nonsense"])
def test_a_stored_rule_that_cannot_be_computed_says_so_instead_of_running_otherwise(expression: str) -> None:
    fine = check_recurrence(kind="rrule", time_zone="UTC", now=NOW, expression="FREQ=DAILY")
    fields: dict[str, Any] = {name: getattr(fine, name) for name in ("kind", "time_zone", "anchor")}

    with pytest.raises(RuleRefused):
        next(upcoming(type(fine)(**fields, expression=expression), NOW))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FREQ=YEARLY;BYMONTHDAY=15", ["2026-01-15", "2026-02-15", "2026-03-15"]),
        ("FREQ=WEEKLY;BYMONTHDAY=14", ["2026-01-14", "2026-02-14"]),
        ("FREQ=DAILY;BYDAY=1MO", ["2026-01-12", "2026-01-19"]),
    ],
)
def test_a_stored_rule_that_would_be_refused_today_runs_as_before(expression: str, expected: list[str]) -> None:
    fine = check_recurrence(
        kind="rrule", time_zone="UTC", now=NOW, expression="FREQ=DAILY", starts_at=datetime(2026, 1, 7, 9)
    )
    stored = type(fine)(fine.kind, "UTC", fine.anchor, expression=expression, starts_at=fine.starts_at)

    found = islice(upcoming(stored, fine.anchor - timedelta(seconds=1)), len(expected))

    assert [f"{at:%Y-%m-%d}" for at in found] == expected
