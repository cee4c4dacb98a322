"""Counts, states, rates and moments in the words of the pages."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final

from mailroom.domain.feeds.model import Feed
from mailroom.domain.feeds.urls import read_url
from mailroom.domain.reports import Report
from mailroom.domain.searches import BoundedCount
from mailroom.domain.words import counted
from web import zones

_RUN_STATES: Final = {"planned": "sending", "finished": "completed"}

_SKIP_REASONS: Final = {
    "missed": "missed: nothing was running when it was due",
    "paused": "due while the schedule was paused",
    "asked": "by a person",
    "archived": "due while the schedule was archived",
    "set aside": "its rule could not be computed",
}


def total(count: BoundedCount, noun: str) -> str:
    """`1 schedule`, `1,994 schedules`, `10,000+ schedules`."""
    return f"{count} {noun if count.rows == 1 and count.is_exact else noun + 's'}"


def people(first: Sequence[str], count: int) -> str:
    """`ann@example.org and 998 more`: the first addresses of so many recipients."""
    if not first:
        return counted(count, "recipient")
    if len(first) == count == 2:
        return " and ".join(first)
    return f"{first[0]} and {count - 1:,} more" if count > 1 else first[0]


def not_sent_yet(count: int) -> str:
    return f"{counted(count, 'email')} {'has' if count == 1 else 'have'} not been sent yet."


def number(count: int) -> str:
    return f"{count:,}"


def bounces(report: Report) -> str:
    """The bounces of a report; in words where none is known because nobody would learn of one."""
    known = report.known_bounces
    return "Not measured" if known is None else number(known)


def percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate * 100:.1f} %"


def run_state(state: str) -> str:
    """The word of the pages for a run's state; the API keeps its own."""
    return _RUN_STATES.get(state, state).capitalize()


def sentence(message: str) -> str:
    """A fault's message as a sentence. What stands below a field needs no verb."""
    text = message.strip()
    if text == "is needed":
        return "Required."
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def moment(at: datetime | None, zone: tzinfo | None = None) -> str:
    """A time in the zone of the page."""
    return "–" if at is None else f"{at.astimezone(zone or zones.of_page()):%a %d %b %Y %H:%M:%S %Z}"


def wall_time(at: datetime) -> str:
    """A time as clocks show it, in whatever zone."""
    return f"{at:%a %d %b %Y %H:%M}"


def day(at: datetime) -> str:
    """The day of a time in the zone of the page."""
    return f"{at.astimezone(zones.of_page()):%d %b %Y}"


def span(time: timedelta) -> str:
    """`5 s`, `12 min`, `3 h`."""
    seconds = int(time.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3_600} h"


def detail(value: object) -> str:
    """A value of an activity's step."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, list | tuple):
        return ", ".join(detail(part) for part in value)
    return str(value)


def feed_url(feed: Feed) -> str:
    """The URL of a feed without its query, which may hold a key."""
    return read_url(feed.url).shown


def skip_reason(reason: str) -> str:
    """Why a run was skipped or set aside, after its state."""
    return _SKIP_REASONS.get(reason, reason)


FILTERS: Final = (
    *(counted, total, people, number, bounces, percent),
    *(moment, day, span),
    *(run_state, skip_reason, feed_url, sentence, detail, wall_time),
)
