"""The days of a rule: its calendar filters, and its periods (a day, a week, a month, a year).

A day is its ordinal, as in `date.toordinal`. The days of a year that pass the filters depend only on the kind of
the year: its first weekday, and whether it and its neighbours are leap years. So a walk through two centuries filters
the days of about 28 years only.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from mailroom.domain.recurrence.parts import Rule

LAST_YEAR: Final = 2240  # the end of every walk: it bounds the work for a rule that never fires
_WEEK: Final = 7


class YearKind(NamedTuple):
    """The properties of a year that decide which of its days pass a rule's filters."""

    first_weekday: int
    leap: bool
    leap_before: bool
    leap_after: bool

    @property
    def days(self) -> int:
        return 366 if self.leap else 365


def completed(rule: Rule, start: datetime) -> Rule:
    """The rule with its missing parts taken from its start (RFC 5545 3.3.10: DTSTART gives them)."""
    if not rule.is_sub_daily:
        rule = replace(rule, by_hour=rule.by_hour or (start.hour,))
    if rule.frequency != "MINUTELY":
        rule = replace(rule, by_minute=rule.by_minute or (start.minute,))
    rule = replace(rule, by_second=rule.by_second or (start.second,))
    if rule.is_sub_daily or rule.frequency == "DAILY":
        return rule
    only_weeks = rule.by_week and not (rule.by_day or rule.by_month_day or rule.by_year_day)
    if only_weeks or (rule.frequency == "WEEKLY" and not rule.chooses_days):
        return replace(rule, by_day=((0, start.weekday()),))
    if rule.chooses_days:
        return rule
    by_month = rule.by_month or ((start.month,) if rule.frequency == "YEARLY" else ())
    return replace(rule, by_month_day=(start.day,), by_month=by_month)


class Days:
    """The days of a completed rule, from its start on, period by period."""

    def __init__(self, rule: Rule, start: date) -> None:
        self._rule = rule
        self._period = self._period_of()
        self._first = self._period(start.toordinal())
        self._known: dict[YearKind, tuple[int, ...]] = {}

    def periods(self, since: date) -> Iterator[list[int]]:
        """The matching days of each period in turn, from the period that contains `since`.

        Periods without a matching day, and periods that INTERVAL leaves out, are skipped.
        """
        if self._rule.frequency == "DAILY" and self._rule.interval == 1:
            yield from ([day] for day in self._from(since))
            return
        numbered = ((self._period(day), day) for day in self._from(self._beginning(since), only_reached=True))
        reached = (pair for pair in numbered if (pair[0] - self._first) % self._rule.interval == 0)
        for _, pairs in groupby(reached, itemgetter(0)):
            yield [day for _, day in pairs]

    def matching(self, since: date) -> Iterator[int]:
        """The days from `since` on that pass the filters, whatever INTERVAL says."""
        return self._from(since)

    def _from(self, since: date, *, only_reached: bool = False) -> Iterator[int]:
        first = since.toordinal()
        for year in range(since.year, LAST_YEAR + 1):
            january_1 = date(year, 1, 1).toordinal()
            if only_reached and not self._is_reached(january_1, date(year, 12, 31).toordinal()):
                continue
            yield from (day for index in self._days_of(year) if (day := january_1 + index) >= first)

    def _is_reached(self, january_1: int, december_31: int) -> bool:
        """True if INTERVAL includes a period of this year."""
        begins, ends = self._period(january_1), self._period(december_31)
        return (self._first - begins) % self._rule.interval <= ends - begins

    def _days_of(self, year: int) -> tuple[int, ...]:
        kind = YearKind(date(year, 1, 1).weekday(), *(_is_leap(y) for y in (year, year - 1, year + 1)))
        if kind not in self._known:
            self._known[kind] = _matching_days(self._rule, kind)
        return self._known[kind]

    def _period_of(self) -> Callable[[int], int]:
        match self._rule.frequency:
            case "WEEKLY":
                shift = self._rule.week_start + 1  # ordinal 1 is a Monday
                return lambda day: (day - shift) // _WEEK
            case "MONTHLY":
                return _month_number
            case "YEARLY":
                return lambda day: date.fromordinal(day).year
            case _:
                return lambda day: day

    def _beginning(self, since: date) -> date:
        """The first day of the period that contains a day: BYSETPOS selects from whole periods."""
        match self._rule.frequency:
            case "WEEKLY":
                back = (since.weekday() - self._rule.week_start) % _WEEK
                return date.fromordinal(since.toordinal() - back)
            case "MONTHLY":
                return since.replace(day=1)
            case "YEARLY":
                return since.replace(month=1, day=1)
            case _:
                return since


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _month_number(day: int) -> int:
    moment = date.fromordinal(day)
    return moment.year * 12 + moment.month


def _matching_days(rule: Rule, kind: YearKind) -> tuple[int, ...]:
    """The days of a year of this kind that pass every filter; January 1st is day 0."""
    days = _calendar(kind)
    if rule.by_month:
        days = [day for day in days if day.month in rule.by_month]
    if rule.by_month_day:
        days = [day for day in days if {day.of_month, day.of_month - day.month_length - 1} & set(rule.by_month_day)]
    if rule.by_year_day:
        days = [day for day in days if {day.of_year + 1, day.of_year - kind.days} & set(rule.by_year_day)]
    if rule.by_week:
        days = [day for day in days if set(_week_numbers(day, rule.week_start, kind)) & set(rule.by_week)]
    if rule.by_day:
        days = [day for day in days if _weekday_matches(day, rule, kind)]
    return tuple(map(itemgetter(0), days))


class _Day(NamedTuple):
    of_year: int  # from 0
    month: int
    of_month: int
    month_length: int
    weekday: int


def _calendar(kind: YearKind) -> list[_Day]:
    lengths = (31, 29 if kind.leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    days: list[_Day] = []
    for month, length in enumerate(lengths, 1):
        for of_month in range(1, length + 1):
            of_year = len(days)
            days.append(_Day(of_year, month, of_month, length, (kind.first_weekday + of_year) % _WEEK))
    return days


def _weekday_matches(day: _Day, rule: Rule, kind: YearKind) -> bool:
    """True if BYDAY names the weekday, or the weekday by its number in the month or in the year."""
    if (0, day.weekday) in rule.by_day:
        return True
    if rule.frequency not in ("MONTHLY", "YEARLY"):  # old stored rules may contain meaningless numbers
        return any(weekday == day.weekday for _, weekday in rule.by_day)
    if rule.frequency == "MONTHLY" or rule.by_month:
        before, after = day.of_month - 1, day.month_length - day.of_month
    else:
        before, after = day.of_year, kind.days - day.of_year - 1
    numbers = (before // _WEEK + 1, -(after // _WEEK) - 1)
    return any((number, day.weekday) in rule.by_day for number in numbers)


def _week_numbers(day: _Day, week_start: int, kind: YearKind) -> tuple[int, int]:
    """The number of the day's week, from the beginning and from the end of the week's year.

    A week belongs to the year that has four or more of its days.
    """
    first = _first_week(kind.first_weekday, week_start)
    next_first = kind.days + _first_week((kind.first_weekday + kind.days) % _WEEK, week_start)
    length_before = 366 if kind.leap_before else 365
    first_before = _first_week((kind.first_weekday - length_before) % _WEEK, week_start) - length_before
    if day.of_year < first:
        begins, ends = first_before, first
    elif day.of_year < next_first:
        begins, ends = first, next_first
    else:
        length_after = 366 if kind.leap_after else 365
        begins = next_first
        first_weekday_after_next = (kind.first_weekday + kind.days + length_after) % _WEEK
        ends = kind.days + length_after + _first_week(first_weekday_after_next, week_start)
    number = (day.of_year - begins) // _WEEK
    return number + 1, number - (ends - begins) // _WEEK


def _first_week(first_weekday: int, week_start: int) -> int:
    """The first day of the first week of a year: three days before January 1st to three days after it."""
    into_week = (first_weekday - week_start) % _WEEK
    return -into_week if into_week <= 3 else _WEEK - into_week
