"""A recurrence as a sentence."""

from mailroom.domain.recurrence import cron
from mailroom.domain.recurrence.model import Kind, Recurrence
from mailroom.domain.words import counted
from web.forms import everyday

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def in_words(rule: Recurrence) -> str:
    """`Weekdays at 09:00`, `Every 2 hours`; a recurrence rule stands as it is written."""
    match rule.kind:
        case Kind.ONCE:
            if rule.at is None:
                return "Once"
            return f"Once, on {rule.at:%a %d %b %Y} at {rule.at:{'%H:%M:%S' if rule.at.second else '%H:%M'}}"
        case Kind.CRON:
            return _everyday(rule.expression) or cron.explain(rule.expression)
        case Kind.RRULE:
            return rule.expression
        case Kind.EVERY:
            return f"Every {_duration(rule.seconds)}"


def _everyday(expression: str) -> str:
    chosen = everyday.everyday_of(expression)
    if chosen is None:
        return ""
    days = ", ".join(everyday.DAYS_OF_WEEK[number] for number in chosen.weekdays)
    on = {everyday.WEEKLY: f" on {days}", everyday.MONTHLY: f" on day {chosen.day}"}.get(chosen.kind, "")
    return f"{chosen.kind.capitalize()}{on} at {chosen.clock}"


def _duration(seconds: int) -> str:
    unit, length = next((unit, length) for unit, length in _UNITS if seconds % length == 0)
    count = seconds // length
    return unit if count == 1 else counted(count, unit)
