"""A second reading of RFC 5545 3.3.10, for tests alone: the table of Expand and Limit, taken literally and slowly.

It shares no code and no method with the engine: each period starts as a set of dates, each part of the rule expands or
limits it in the RFC's order, and week numbers come from the calendar itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Slow:
    """One rule and its DTSTART."""

    parts: dict[str, str]
    start: datetime

    def instants(self, last_day: date) -> list[datetime]:
        """Every occurrence from the start to the end of `last_day`, COUNT and UNTIL aside."""
        found = []
        for number, period in enumerate(self.periods(last_day)):
            if number % int(self.parts.get("INTERVAL", "1")) == 0:
                found += self.chosen(sorted(self.times(self.dates(period))))
        return [at for at in found if self.start <= at and at.date() <= last_day]

    def numbers(self, name: str) -> list[int]:
        return [int(text) for text in self.parts[name].split(",")] if name in self.parts else []

    def week_begins(self, day: date) -> date:
        start = DAYS.index(self.parts.get("WKST", "MO"))
        while day.weekday() != start:
            day -= DAY
        return day

    def periods(self, last_day: date) -> Iterator[list[date]]:
        """All dates of each day, week, month or year, from the one with the start on."""
        frequency, day = self.parts["FREQ"], self.start.date()
        if frequency == "WEEKLY":
            day = self.week_begins(day)
        if frequency in ("MONTHLY", "YEARLY"):
            day = day.replace(day=1)
        if frequency == "YEARLY":
            day = day.replace(month=1)
        while day <= last_day:
            period = [day]
            while self.same_period(day, period[-1] + DAY):
                period.append(period[-1] + DAY)
            yield period
            day = period[-1] + DAY

    def same_period(self, one: date, other: date) -> bool:
        match self.parts["FREQ"]:
            case "WEEKLY":
                return self.week_begins(one) == self.week_begins(other)
            case "MONTHLY":
                return (one.year, one.month) == (other.year, other.month)
            case "YEARLY":
                return one.year == other.year
        return one == other

    def dates(self, period: list[date]) -> set[date]:
        """BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY and BYDAY in turn; what no part says comes from the start."""
        parts, days = self.parts, set(period)
        if months := self.numbers("BYMONTH"):
            days = {day for day in days if day.month in months}
        if weeks := self.numbers("BYWEEKNO"):
            days = {day for day in days if self.week_number(day) in weeks or self.week_from_end(day) in weeks}
        if year_days := self.numbers("BYYEARDAY"):
            days = {
                day
                for day in days
                for number in year_days
                if day
                == (
                    date(day.year, 1, 1) + (number - 1) * DAY if number > 0 else date(day.year + 1, 1, 1) + number * DAY
                )
            }
        if month_days := self.numbers("BYMONTHDAY"):
            days = {day for day in days if day.day in month_days or day.day - days_in_month(day) - 1 in month_days}
        if "BYDAY" in parts:
            return {day for text in parts["BYDAY"].split(",") for day in days if self.is_weekday(day, text)}
        if parts["FREQ"] == "DAILY" or month_days or year_days:
            return days
        if parts["FREQ"] == "WEEKLY" or weeks:
            return {day for day in days if day.weekday() == self.start.weekday()}
        if parts["FREQ"] == "YEARLY" and not months:
            days = {day for day in days if day.month == self.start.month}
        return {day for day in days if day.day == self.start.day}

    def is_weekday(self, day: date, text: str) -> bool:
        """`MO`, or `2MO`: the second of the month, or of the year where a yearly rule names no months."""
        if DAYS[day.weekday()] != text[-2:]:
            return False
        if not text[:-2]:
            return True
        number = int(text[:-2])
        in_month = self.parts["FREQ"] == "MONTHLY" or "BYMONTH" in self.parts
        first = day.replace(day=1) if in_month else date(day.year, 1, 1)
        last = day.replace(day=days_in_month(day)) if in_month else date(day.year, 12, 31)
        alike = [
            first + n * DAY for n in range((last - first).days + 1) if (first + n * DAY).weekday() == day.weekday()
        ]
        index = number - 1 if number > 0 else len(alike) + number
        return 0 <= index < len(alike) and alike[index] == day

    def week_number(self, day: date) -> int:
        """Of the year to which most of the week belongs: the year of its fourth day."""
        fourth = self.week_begins(day) + 3 * DAY
        return (fourth.timetuple().tm_yday - 1) // 7 + 1

    def week_from_end(self, day: date) -> int:
        fourth = self.week_begins(day) + 3 * DAY
        return -((date(fourth.year, 12, 31) - fourth).days // 7) - 1

    def times(self, days: set[date]) -> list[datetime]:
        hours, minutes, seconds = (
            self.numbers(name) or [given]
            for name, given in (
                ("BYHOUR", self.start.hour),
                ("BYMINUTE", self.start.minute),
                ("BYSECOND", self.start.second),
            )
        )
        return [datetime.combine(day, time(h, m, s)) for day in days for h in hours for m in minutes for s in seconds]

    def chosen(self, found: list[datetime]) -> list[datetime]:
        places = self.numbers("BYSETPOS")
        if not places:
            return found
        return [at for n, at in enumerate(found) if n + 1 in places or n - len(found) in places]


def days_in_month(day: date) -> int:
    following = (day.replace(day=28) + 4 * DAY).replace(day=1)
    return (following - DAY).day
