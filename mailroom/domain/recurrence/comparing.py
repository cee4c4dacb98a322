"""Whether a recurrence that is handed in is the one that is stored."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mailroom.domain.recurrence import zones
from mailroom.domain.recurrence.checking import read_recurrence
from mailroom.domain.recurrence.model import Kind, Recurrence


def is_same(stored: Recurrence, given: Mapping[str, Any]) -> bool:
    """True if these fields (as `check_recurrence` takes them) describe the stored recurrence, even if they would be
    refused today: a single run that is over is still the same.

    The anchor is not compared: without `starts_at` it is the moment at which the stored rule began.
    """
    kind, zone = given.get("kind"), given.get("time_zone")
    if kind not in list(Kind) or not isinstance(zone, str) or zones.find(zone) is None:
        return False
    try:
        read = read_recurrence(**{**given, "kind": Kind(kind)}, now=stored.anchor)
    except (ValueError, OverflowError):  # a moment at the end of the calendar
        return False
    return replace(read, anchor=stored.anchor) == stored
