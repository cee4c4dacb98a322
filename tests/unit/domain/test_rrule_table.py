"""Random rules against a second, slow reading of the RFC's table, and against dateutil where dateutil is right."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import pytest
from dateutil.rrule import rrulestr

from mailroom.domain.recurrence import parts as rule_parts
from mailroom.domain.recurrence.model import Kind, Recurrence, RuleRefused
from mailroom.domain.recurrence.upcoming import upcoming
from tests.unit.domain.rrule_table import DAYS, Slow, days_in_month

RULES = 90
YEARS = {"DAILY": 1, "WEEKLY": 2, "MONTHLY": 3, "YEARLY": 7}


def a_rule(seed: int) -> tuple[dict[str, str], datetime]:
    """A random rule that may be typed in, and a start."""
    chance = random.Random(seed)
    while True:
        parts = _parts(chance)
        start = datetime(chance.randint(1995, 2030), chance.randint(1, 12), chance.randint(1, 28), 9, 30)
        try:
            rule_parts.check(text_of(parts))
        except RuleRefused:
            continue
        return parts, start + timedelta(days=chance.randint(0, 3))


def _parts(chance: random.Random) -> dict[str, str]:
    frequency = chance.choice(["DAILY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY", "YEARLY"])
    parts = {"FREQ": frequency}
    if chance.random() < 0.4:
        parts["INTERVAL"] = str(chance.randint(2, 5))
    if chance.random() < 0.4:
        parts["WKST"] = chance.choice(DAYS)
    for name, high, likely in (
        ("BYMONTH", 12, 0.3),
        ("BYHOUR", 23, 0.3),
        ("BYMINUTE", 59, 0.15),
        ("BYSECOND", 59, 0.1),
    ):
        if chance.random() < likely:
            parts[name] = _some(chance, [*range(1, high + 1)])
    for name, high, likely in (("BYMONTHDAY", 31, 0.25), ("BYYEARDAY", 366, 0.15), ("BYWEEKNO", 53, 0.3)):
        if chance.random() < likely:
            parts[name] = _some(chance, [*range(1, high + 1), *range(-high, 0)])
    if chance.random() < 0.5:
        numbers = (
            ["", "", "1", "2", "5", "-1", "-2", "53", "-53", "20"] if "M" in frequency or "Y" in frequency else [""]
        )
        parts["BYDAY"] = _some(chance, [number + day for number in numbers for day in DAYS])
    if chance.random() < 0.3:
        parts["BYSETPOS"] = _some(chance, [1, 2, 3, -1, -2, 10, 366])
    return parts


def _some(chance: random.Random, values: Sequence[object]) -> str:
    return ",".join(str(value) for value in chance.sample(list(values), chance.randint(1, 4)))


def text_of(parts: dict[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())


def ours(parts: dict[str, str], start: datetime) -> Recurrence:
    anchor = start.replace(tzinfo=UTC)
    return Recurrence(Kind.RRULE, "UTC", anchor, expression=text_of(parts), starts_at=anchor)


def found(parts: dict[str, str], start: datetime, last_day: date, after: datetime | None = None) -> list[datetime]:
    rule = ours(parts, start)
    begin = (after or start - timedelta(seconds=1)).replace(tzinfo=UTC)
    naive = (at.replace(tzinfo=None) for at in upcoming(rule, begin))
    return list(takewhile(lambda at: at.date() <= last_day, naive))


@pytest.mark.parametrize("block", range(3))
def test_random_rules_give_what_the_rfcs_table_gives(block: int) -> None:
    size = RULES // 3
    for seed in range(block * size, (block + 1) * size):
        parts, start = a_rule(seed)
        last_day = start.date() + timedelta(days=366 * YEARS[parts["FREQ"]])

        expected = Slow(parts, start).instants(last_day)

        assert found(parts, start, last_day) == expected, (text_of(parts), start)
        if expected:  # asked from the middle on, it is the same
            middle = expected[len(expected) // 2]
            assert found(parts, start, last_day, middle) == [at for at in expected if at > middle], text_of(parts)


def dateutil_reads_otherwise(parts: dict[str, str], start: datetime) -> bool:
    """Where python-dateutil 2.9 departs from RFC 5545; elsewhere random rules agree."""
    numbered = [day[:-2] != "" for day in parts.get("BYDAY", "").split(",")]
    whole_weeks = "BYWEEKNO" in parts and not parts.keys() & {"BYDAY", "BYMONTHDAY", "BYYEARDAY"}
    cut_week = (
        parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts and start.weekday() != DAYS.index(parts.get("WKST", "MO"))
    )
    both_kinds_of_day = any(numbered) and not all(numbered)
    return whole_weeks or cut_week or both_kinds_of_day


@pytest.mark.parametrize(
    ("expression", "theirs", "right"),
    [
        # Seven days of the week instead of the start's weekday.
        ("FREQ=YEARLY;BYWEEKNO=20", ["05-11", "05-12", "05-13"], ["05-13"]),
        # The first week begins with the start: its Wednesday is taken for the first day of the set.
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", ["01-07", "01-12", "01-19"], ["01-12", "01-19"]),
        # A day must be a Wednesday as well as a first or last Monday: none is.
        ("FREQ=MONTHLY;BYDAY=1MO,-1MO,WE", [], ["01-07", "01-14", "01-21", "01-26", "01-28"]),
    ],
)
def test_dateutil_departs_from_the_rfc_where_we_do_not(expression: str, theirs: list[str], right: list[str]) -> None:
    start = datetime(2026, 1, 7, 9)
    parts = dict(part.split("=") for part in expression.split(";"))
    end = datetime(2026, 12, 31)
    by_dateutil = (
        list(islice(rrulestr(f"{expression};UNTIL=20261231T000000", dtstart=start), len(theirs))) if theirs else []
    )

    by_us = found(parts, start, end.date())

    assert [f"{at:%m-%d}" for at in by_dateutil] == theirs
    assert [f"{at:%m-%d}" for at in by_us][: len(right)] == right


def test_random_rules_give_what_dateutil_gives_where_it_follows_the_rfc() -> None:
    compared = 0
    for seed in range(10_000, 10_000 + RULES):
        parts, start = a_rule(seed)
        if dateutil_reads_otherwise(parts, start):
            continue
        last_day = start.date() + timedelta(days=366 * YEARS[parts["FREQ"]])

        instants = found(parts, start, last_day)

        # Only as many as there are: in search of one more, dateutil walks to the year 9999.
        theirs = list(islice(rrulestr(text_of(parts), dtstart=start), len(instants)))

        assert instants == theirs, (text_of(parts), start)
        compared += bool(instants)
    assert compared > RULES / 3


def a_sub_daily_rule(seed: int) -> tuple[dict[str, str], datetime]:
    chance = random.Random(seed)
    parts = {"FREQ": chance.choice(["HOURLY", "MINUTELY"]), "INTERVAL": str(chance.choice([1, 1, 2, 7, 25, 90, 1441]))}
    for name, low, high, likely in (("BYMONTH", 1, 12, 0.2), ("BYHOUR", 0, 23, 0.5), ("BYMINUTE", 0, 59, 0.5)):
        if chance.random() < likely:
            parts[name] = _some(chance, [*range(low, high + 1)])
    if chance.random() < 0.2:
        parts["BYMONTHDAY"] = _some(chance, [*range(1, 32), *range(-31, 0)])
    if chance.random() < 0.5 or len(parts) == 2:
        parts["BYDAY"] = _some(chance, DAYS)
    return parts, datetime(
        2025, chance.randint(1, 12), chance.randint(1, 28), chance.randint(0, 23), chance.randint(0, 59)
    )


def minute_matches(parts: dict[str, str], start: datetime, at: datetime) -> bool:
    """One minute held against every part, by itself."""
    unit = 60 if parts["FREQ"] == "HOURLY" else 1
    begin = start.replace(minute=0) if unit == 60 else start
    if ((at - begin) // timedelta(minutes=unit)) % int(parts["INTERVAL"]):
        return False
    if unit == 60 and "BYMINUTE" not in parts and at.minute != start.minute:
        return False
    from_end = at.day - days_in_month(at.date()) - 1
    values: dict[str, set[Any]] = {
        "BYMONTH": {at.month},
        "BYMONTHDAY": {at.day, from_end},
        "BYHOUR": {at.hour},
        "BYMINUTE": {at.minute},
        "BYDAY": {DAYS[at.weekday()]},
    }
    return all({str(value) for value in values[name]} & set(parts[name].split(",")) for name in values if name in parts)


def test_random_hourly_and_minutely_rules_give_the_minutes_that_match_one_by_one() -> None:
    for seed in range(12):
        parts, start = a_sub_daily_rule(seed)
        minutes = (start + timedelta(minutes=n) for n in range(10 * 1440))

        expected = [at for at in minutes if minute_matches(parts, start, at)]

        last = start + timedelta(minutes=10 * 1440 - 1)
        assert [at for at in found(parts, start, last.date()) if at <= last] == expected, (text_of(parts), start)
