"""A segment: some contacts of an audience, by a filter. A segment never changes; its contacts do."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import AudienceId, SegmentId
from mailroom.domain.segments.matching import OWN_FIELDS
from mailroom.domain.segments.nodes import (
    Compared,
    DayCompared,
    EventInDays,
    EventInRuns,
    InLastDays,
    OneOf,
    Present,
    parts_of,
)
from mailroom.domain.segments.parsing import parse


@dataclass(frozen=True, slots=True)
class Segment:
    id: SegmentId
    audience: AudienceId
    name: str
    filter: str
    created_at: datetime


def check_filter(text: str, fields: Collection[str], *, events_kept: timedelta) -> None:
    """Check a filter. `fields`: the merge fields that some contact has. `events_kept`: for how long events are
    kept. Raises InvalidInput for a filter that cannot be read, or asks for earlier events, and with each field that
    nobody has: it is misspelt."""
    node = parse(text.strip())
    of_fields = Compared | OneOf | Present | DayCompared | InLastDays
    named = [part.field for part in parts_of(node) if isinstance(part, of_fields)]
    faults = [
        Fault("filter", f"events are kept for {events_kept.days} days, so {part.days} days cannot be looked back")
        for part in parts_of(node)
        if isinstance(part, EventInDays) and part.days > events_kept.days
    ]
    unknown = [name for name in dict.fromkeys(named) if name not in OWN_FIELDS and name not in fields]
    faults += [Fault("filter", _why_unknown(name, fields)) for name in unknown]
    if faults:
        raise InvalidInput(*faults)


def looks_at_events(filter_: str) -> bool:
    """True if the filter asks for what readers did with earlier mail."""
    return bool(filter_) and any(isinstance(part, EventInRuns | EventInDays) for part in parts_of(parse(filter_)))


def _why_unknown(name: str, fields: Collection[str]) -> str:
    meant = get_close_matches(name, [*fields, *OWN_FIELDS], n=1, cutoff=0.7)
    return f'no contact has the merge field "{name}"' + (f'; did you mean "{meant[0]}"?' if meant else "")
