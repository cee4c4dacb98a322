"""Checks of a five-field cron expression from a user, field by field, so that no field is misread.

cronsim accepts a step larger than its range (`*/90` runs hourly), and ignores a step after `L`. Both are refused here,
with the name of the field. Stored expressions are not checked again.
"""

import re
from typing import Final, NamedTuple

from mailroom.domain.recurrence.model import RuleRefused

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class _Field(NamedTuple):
    noun: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    special: str = "(?!)"  # a pattern for further terms of this field; none of them allows a step
    special_words: str = ""

    @property
    def words(self) -> str:
        """The allowed terms, for a message."""
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"numbers from {self.low} to {self.high}{names}{self.special_words}, such as {self.low}, *, "

    def number(self, text: str) -> int | None:
        if text in self.names:
            return self.names.index(text) + (self.low if self.noun == "month" else 0)
        number = int(text) if re.fullmatch("[0-9]{1,4}", text) else -1
        return number if self.low <= number <= self.high else None


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31, special="LW?", special_words=", L or LW (the last day, the last working day)"),
    _Field("month", 1, 12, _MONTHS),
    _Field(
        "day-of-week",
        0,
        7,
        _DAYS,
        special=f"(?:[0-7]|{'|'.join(_DAYS)})#[1-5]|[0-7]L",
        special_words=", 1#2 (the second Monday), 5L (the last Friday)",
    ),
)


def check(expression: str) -> None:
    """Raise RuleRefused, with words for a user, unless every field has a single meaning and can be met."""
    texts = expression.upper().split()
    if len(texts) != len(_FIELDS):
        raise RuleRefused("a cron expression has five fields: minute, hour, day of month, month, day of week")
    for field, text in zip(_FIELDS, texts, strict=True):
        for term in text.split(","):
            _check_term(field, term)


def _check_term(field: _Field, term: str) -> None:
    if re.fullmatch(field.special, term):
        return
    base, slash, step = term.partition("/")
    if slash and re.fullmatch(field.special, base):
        raise _refused(field, term, f"{base} takes no step; write {base} alone")
    low, dash, high = base.partition("-")
    if base == "*":
        first, last = field.low, 6 if field.noun == "day-of-week" else field.high
    else:
        numbers = field.number(low), field.number(high) if dash else field.high if slash else field.number(low)
        if numbers[0] is None or numbers[1] is None:
            raise _refused(field, term, f"write {field.words}2-4 or */2")
        first, last = numbers[0], numbers[1]
    if last < first:
        raise _refused(field, term, f"the range runs backwards; write {first}-{field.high},{field.low}-{last}")
    if slash:
        _check_step(field, term, step, first, last)


def _check_step(field: _Field, term: str, step: str, first: int, last: int) -> None:
    values = last - first + 1
    if not re.fullmatch("[0-9]{1,4}", step) or int(step) == 0:
        raise _refused(field, term, "a step is a whole number from 1")
    if int(step) > values:
        instead = f"write {first}"
        if field.noun == "minute":
            instead += f", or the kind 'every' with {int(step) * 60} seconds"
        raise _refused(
            field,
            term,
            f"a step of {int(step)} is larger than the range {first} to {last}, so it is {first}; {instead}",
        )


def _refused(field: _Field, term: str, why: str) -> RuleRefused:
    shown = term if len(term) <= 20 else f"{term[:17]}..."
    return RuleRefused(f"bad {field.noun} '{shown}': {why}")
