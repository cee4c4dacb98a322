"""Compare a requested recurrence with the stored one."""

from dataclasses import replace

from mailroom.domain.recurrence import zones
from mailroom.domain.recurrence.checking import read_recurrence
from mailroom.domain.recurrence.model import Kind, Recurrence, RecurrenceFields


def is_same(stored: Recurrence, given: RecurrenceFields) -> bool:
    """True if these fields (as `check_recurrence` takes them) describe the stored recurrence, even if a new check
    would refuse them today: a single run in the past is still equal.

    The anchor is not compared: without `starts_at` it is the creation time of the stored rule.
    """
    if given["kind"] not in list(Kind) or zones.find(given["time_zone"]) is None:
        return False
    try:
        read = read_recurrence(**given, now=stored.anchor)
    except (ValueError, OverflowError):  # a time at the end of the calendar
        return False
    return replace(read, anchor=stored.anchor) == stored
