"""The parts of an RFC 5545 recurrence rule (3.3.10): their ranges, and the frequencies that allow each part.

`read` accepts every rule that can be computed, stored rules included. `check` is for rules from users: it also refuses
rules that the RFC forbids or leaves open, and suggests an alternative.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from mailroom.domain.recurrence.model import RuleRefused

T = TypeVar("T", int, tuple[int, int])

DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
SUB_DAILY: Final = ("MINUTELY", "HOURLY")
FREQUENCIES: Final = (*SUB_DAILY, "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
MAX_COUNT: Final = 100_000
MAX_TIMES: Final = 288  # times of day for DAILY and rarer rules: every five minutes
MAX_TIMES_SUB_DAILY: Final = 1_440  # every minute


class Range(NamedTuple):
    """The whole numbers allowed in a part, and whether negative numbers count from the end (-1 is the last)."""

    low: int
    high: int
    signed: bool
    noun: str

    def holds(self, number: int) -> bool:
        return self.low <= (abs(number) if self.signed else number) <= self.high

    def __str__(self) -> str:
        words = f"{self.low} to {self.high}"
        return f"{words}, or -{self.high} to -{self.low} from the end" if self.signed else words


RANGES: Final = {
    "BYSECOND": Range(0, 60, False, "a second"),
    "BYMINUTE": Range(0, 59, False, "a minute"),
    "BYHOUR": Range(0, 23, False, "an hour"),
    "BYMONTHDAY": Range(1, 31, True, "a day of the month"),
    "BYYEARDAY": Range(1, 366, True, "a day of the year"),
    "BYWEEKNO": Range(1, 53, True, "a week of the year"),
    "BYMONTH": Range(1, 12, False, "a month"),
    "BYSETPOS": Range(1, 366, True, "a position"),
}
_NUMBERED_DAY: Final = Range(1, 53, True, "the number before a weekday")
_IN_A_MONTH: Final = 5  # no weekday occurs more often in a month

# The frequencies that allow a part; a part that is not listed is allowed with every frequency.
GOES_WITH: Final = {
    "BYMONTHDAY": {"MINUTELY", "HOURLY", "DAILY", "MONTHLY", "YEARLY"},
    "BYYEARDAY": {"MINUTELY", "HOURLY", "YEARLY"},
    "BYWEEKNO": {"YEARLY"},
    "BYSETPOS": {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"},  # the RFC also allows it for HOURLY and MINUTELY
}
_LAYOUTS: Final = {8: "%Y%m%d", 15: "%Y%m%dT%H%M%S", 16: "%Y%m%dT%H%M%SZ"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that can be computed. Lists are sorted, without repeats; an empty list means that the part is absent.

    `by_day` has (number, weekday). Number 0 means every such weekday; Monday is weekday 0.
    """

    frequency: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None  # naive; `until_is_utc` says whether it is UTC or the schedule's local time
    until_is_utc: bool = False
    week_start: int = 0
    by_second: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_week: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_position: tuple[int, ...] = ()

    @property
    def is_sub_daily(self) -> bool:
        return self.frequency in SUB_DAILY

    @property
    def chooses_days(self) -> bool:
        """True if a part other than BYMONTH selects days."""
        return bool(self.by_day or self.by_month_day or self.by_year_day or self.by_week)

    @property
    def goes_by_elapsed_time(self) -> bool:
        """True for an hourly or minutely rule that names no local times."""
        named = self.chooses_days or self.by_month or self.by_hour or self.by_minute or self.by_second
        return self.is_sub_daily and not named


def read(expression: str) -> Rule:
    """The rule of an expression. Raises RuleRefused, in words for a user, unless it can be computed within bounds."""
    parts = _split(expression)
    frequency = parts.pop("FREQ", None)
    if frequency is None:
        raise RuleRefused("FREQ is needed, for example FREQ=WEEKLY;BYDAY=MO")
    if frequency == "SECONDLY":
        raise RuleRefused("FREQ=SECONDLY is not offered; use the kind 'every'")
    if frequency not in FREQUENCIES:
        raise RuleRefused(f"'{_short(frequency)}' is no frequency; write one of {', '.join(FREQUENCIES)}")
    until = _until(parts["UNTIL"]) if "UNTIL" in parts else None
    rule = Rule(
        frequency=frequency,
        interval=_whole("INTERVAL", parts.get("INTERVAL", "1")),
        count=_whole("COUNT", parts["COUNT"]) if "COUNT" in parts else None,
        until=until,
        until_is_utc=parts.get("UNTIL", "").endswith("Z"),
        week_start=_weekday(parts.get("WKST", "MO"), "WKST"),
        # Without leap seconds the 60th is read as the 59th (RFC 5545 3.3.12).
        by_second=tuple(sorted({min(59, second) for second in _numbers("BYSECOND", parts)})),
        by_minute=_numbers("BYMINUTE", parts),
        by_hour=_numbers("BYHOUR", parts),
        by_day=_list("BYDAY", parts, _numbered_day),
        by_month_day=_numbers("BYMONTHDAY", parts),
        by_year_day=_numbers("BYYEARDAY", parts),
        by_week=_numbers("BYWEEKNO", parts),
        by_month=_numbers("BYMONTH", parts),
        by_set_position=_numbers("BYSETPOS", parts),
    )
    _require_few_times(rule)
    return rule


def check(expression: str) -> Rule:
    """As `read`, for a rule from a user. Also raises RuleRefused for rules that RFC 5545 forbids or leaves open."""
    rule, parts = read(expression), _split(expression)
    if rule.count and rule.until:
        raise RuleRefused("COUNT and UNTIL exclude each other (RFC 5545 3.3.10)")
    for name, frequencies in GOES_WITH.items():
        if name in parts and rule.frequency not in frequencies:
            fits = " or ".join(f"FREQ={frequency}" for frequency in FREQUENCIES if frequency in frequencies)
            raise RuleRefused(f"{name} does not go with FREQ={rule.frequency}; it goes with {fits}")
    if rule.by_set_position and not any(name.startswith("BY") and name != "BYSETPOS" for name in parts):
        raise RuleRefused("BYSETPOS needs another BY part to choose from, such as BYDAY=MO,TU,WE,TH,FR")
    _check_numbered_days(rule)
    if rule.frequency == "YEARLY" and rule.by_month_day and not rule.by_month:
        days = parts["BYMONTHDAY"]
        raise RuleRefused(
            f"FREQ=YEARLY;BYMONTHDAY={_short(days)} does not say in which months; write "
            f"FREQ=MONTHLY;BYMONTHDAY={_short(days)} for every month, or add BYMONTH, such as BYMONTH=1"
        )
    return rule


def _check_numbered_days(rule: Rule) -> None:
    most = max((abs(number) for number, _ in rule.by_day), default=0)
    if not most:
        return
    if rule.frequency not in ("MONTHLY", "YEARLY"):
        raise RuleRefused(
            f"a number before a weekday in BYDAY goes with FREQ=MONTHLY or FREQ=YEARLY, not with FREQ={rule.frequency}"
        )
    if rule.by_week:
        raise RuleRefused("a number before a weekday in BYDAY does not go with BYWEEKNO; write the weekday alone")
    if most > _IN_A_MONTH and (rule.frequency == "MONTHLY" or rule.by_month):
        raise RuleRefused(f"no month has weekday number {most} of BYDAY; write 1 to 5, or -5 to -1 from the end")


def _split(expression: str) -> dict[str, str]:
    """`FREQ=WEEKLY;BYDAY=MO` as a mapping."""
    text = expression.strip().upper().removeprefix("RRULE:")
    if re.search(r"\s|DTSTART|RDATE|EXDATE|EXRULE", text):
        raise RuleRefused("write one rule such as FREQ=WEEKLY;BYDAY=MO; its start belongs in starts_at")
    parts: dict[str, str] = {}
    for part in text.strip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise RuleRefused(f"'{_short(part)}' is not NAME=VALUE")
        if name not in RANGES and name not in ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY"):
            raise RuleRefused(f"'{_short(name)}' is no part of a recurrence rule")
        if name in parts:
            raise RuleRefused(f"'{name}' is given twice")
        parts[name] = value
    return parts


def _list(name: str, parts: dict[str, str], value_of: Callable[[str], T]) -> tuple[T, ...]:
    if name not in parts:
        return ()
    return tuple(sorted({value_of(text) for text in parts[name].split(",")}))


def _numbers(name: str, parts: dict[str, str]) -> tuple[int, ...]:
    return _list(name, parts, lambda text: _number(text, name, RANGES[name]))


def _number(text: str, name: str, allowed: Range) -> int:
    written = r"[+-]?[0-9]{1,3}" if allowed.signed else "[0-9]{1,3}"
    if not re.fullmatch(written, text) or not allowed.holds(int(text)):
        raise RuleRefused(f"'{_short(text)}' in {name} is not {allowed.noun}: write {allowed}")
    return int(text)


def _numbered_day(text: str) -> tuple[int, int]:
    number, day = text[:-2], text[-2:]
    return (_number(number, "BYDAY", _NUMBERED_DAY) if number else 0, _weekday(day, "BYDAY"))


def _weekday(text: str, name: str) -> int:
    if text not in DAYS:
        raise RuleRefused(f"'{_short(text)}' in {name} is no weekday: write {', '.join(DAYS)}")
    return DAYS.index(text)


def _whole(name: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_COUNT:
        raise RuleRefused(f"{name} is a whole number from 1 to {MAX_COUNT}")
    return int(text)


def _until(text: str) -> datetime:
    try:
        until = datetime.strptime(text, _LAYOUTS[len(text)])  # noqa: DTZ007 - naive, as a Rule keeps it
    except (KeyError, ValueError):
        raise RuleRefused("UNTIL is written 20261231, 20261231T090000 or 20261231T080000Z") from None
    if not 1970 <= until.year <= 2200:
        raise RuleRefused("UNTIL is a year from 1970 to 2200")
    return until + timedelta(days=1, seconds=-1) if len(text) == 8 else until  # a date includes its whole day


def _require_few_times(rule: Rule) -> None:
    """Raise RuleRefused if a day has too many instants: each instant is a campaign."""
    hours = len(rule.by_hour) or (24 if rule.is_sub_daily else 1)
    minutes = len(rule.by_minute) or (60 if rule.frequency == "MINUTELY" else 1)
    times = hours * minutes * (len(rule.by_second) or 1)
    most = MAX_TIMES_SUB_DAILY if rule.is_sub_daily else MAX_TIMES
    if times > most:
        raise RuleRefused(
            f"BYHOUR, BYMINUTE and BYSECOND name {times:,} times of a day, at most {most:,} are taken; "
            "for more frequent runs use the kind 'every' or 'cron'"
        )


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
