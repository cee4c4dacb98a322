"""Checks, notes and speed of recurrences; the instants themselves are in the table of cases."""

from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.domain.errors import InvalidInput
from mailroom.domain.recurrence import wallclock
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.upcoming import next_occurrences, upcoming

BEFORE_SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)
BEFORE_AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"kind": "weekly"}, "recurrence.kind", "one of once, cron, rrule, every"),
        ({"kind": "cron", "expression": "0 9 * *"}, "recurrence.expression", "five fields"),
        ({"kind": "cron", "expression": "* 0 9 * * *"}, "recurrence.expression", "five fields"),
        ({"kind": "cron", "expression": "61 * * * *"}, "recurrence.expression", "bad minute"),
        ({"kind": "cron", "expression": "0 0 30 2 *"}, "recurrence.expression", "bad day-of-month"),
        ({"kind": "cron", "expression": ""}, "recurrence.expression", "is needed"),
        (
            {"kind": "cron", "expression": "0 9 * * *", "time_zone": "Mars/Base"},
            "recurrence.time_zone",
            "Unknown time zone",
        ),
        (
            {"kind": "cron", "expression": "0 9 * * *", "time_zone": "../etc/passwd"},
            "recurrence.time_zone",
            "Unknown time zone",
        ),
        ({"kind": "cron", "expression": "0 9 * * *", "seconds": 5}, "recurrence.seconds", "does not go with"),
        ({"kind": "once"}, "recurrence.at", "is needed"),
        ({"kind": "once", "at": datetime(2020, 1, 1)}, "recurrence.at", "lies in the past"),
        ({"kind": "every", "seconds": 0}, "recurrence.seconds", "from 1"),
        ({"kind": "rrule", "expression": "FREQ=SECONDLY"}, "recurrence.expression", "use the kind 'every'"),
        ({"kind": "rrule", "expression": "BYDAY=MO"}, "recurrence.expression", "FREQ is needed"),
        ({"kind": "rrule", "expression": "FREQ=DAILY;COUNT=2;UNTIL=20300101"}, "recurrence.expression", "exclude"),
        ({"kind": "rrule", "expression": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence.expression", "never"),
        ({"kind": "rrule", "expression": "FREQ=DAILY;COUNT=0"}, "recurrence.expression", "COUNT is"),
        ({"kind": "rrule", "expression": "DTSTART:20260101\nFREQ=DAILY"}, "recurrence.expression", "starts_at"),
        ({"kind": "every", "seconds": 60, "max_runs": 0}, "recurrence.max_runs", "from 1"),
        (
            {"kind": "cron", "expression": "0 9 * * *", "time_zone": "Berlin"},
            "recurrence.time_zone",
            'Unknown time zone "Berlin". Did you mean Europe/Berlin?',
        ),
        (
            {"kind": "cron", "expression": "0 9 * * *", "time_zone": "america/new york"},
            "recurrence.time_zone",
            "New_York?",
        ),
    ],
)
def test_a_recurrence_that_cannot_be_is_refused_beside_its_field(fields: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_recurrence(**{"time_zone": "Europe/Berlin"} | fields, now=BEFORE_SPRING)

    assert [fault.path for fault in refused.value.faults] == [path]
    assert words in refused.value.faults[0].message


def test_everything_that_is_wrong_with_a_recurrence_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_recurrence(
            kind="cron",
            expression="*/90 * * * *",
            seconds=5,
            time_zone="Berlin",
            starts_at=datetime(1, 1, 1),
            max_runs=0,
            now=BEFORE_SPRING,
        )

    paths = {fault.path.removeprefix("recurrence.") for fault in refused.value.faults}
    assert paths == {"expression", "seconds", "time_zone", "starts_at", "max_runs"}


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_recurrence(
            kind="every",
            seconds=60,
            time_zone="UTC",
            starts_at=datetime(2027, 1, 2, tzinfo=UTC),
            ends_at=datetime(2027, 1, 1, tzinfo=UTC),
            now=BEFORE_SPRING,
        )

    assert refused.value.faults[0].path == "recurrence.ends_at"


@pytest.mark.parametrize(
    ("fields", "now", "note"),
    [
        ({"kind": "cron", "expression": "30 2 * * *"}, BEFORE_SPRING, "02:30 does not exist on this day"),
        ({"kind": "cron", "expression": "0,30 2 * * *"}, BEFORE_SPRING, "02:00 and 02:30 do not exist"),
        ({"kind": "once", "at": datetime(2026, 3, 29, 2, 30)}, BEFORE_SPRING, "02:30 does not exist"),
        ({"kind": "rrule", "expression": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30"}, BEFORE_SPRING, "02:30 does not exist"),
        ({"kind": "cron", "expression": "30 2 * * *"}, BEFORE_AUTUMN, "runs once, the first time"),
        ({"kind": "cron", "expression": "30 9 * * *"}, BEFORE_SPRING, None),
    ],
)
def test_a_run_that_a_clock_change_touches_says_so(fields: dict[str, Any], now: datetime, note: str | None) -> None:
    rule = check_recurrence(**fields, time_zone="Europe/Berlin", now=now)

    (first,) = next_occurrences(rule, now, 1)

    assert (note in (first.note or "")) if note else first.note is None


def test_both_passes_of_a_doubled_hour_say_which_they_are() -> None:
    rule = check_recurrence(kind="cron", expression="30 * * * *", time_zone="Europe/Berlin", now=BEFORE_AUTUMN)

    noted = [due.note for due in next_occurrences(rule, BEFORE_AUTUMN, 20) if due.note]

    assert ["the first time" in noted[0], "the second time" in noted[1], len(noted)] == [True, True, 2]


@settings(deadline=None)  # the instants are what it is about; a loaded machine takes its time
@given(
    expression=st.sampled_from(
        ["* * * * *", "*/7 * * * *", "30 2 * * *", "0,30 1-3 * * *", "0 0 * * *", "15 */2 * * *"]
    ),
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]
    ),
    start=st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
)
def test_instants_only_ever_go_forward_and_asking_again_from_any_of_them_gives_the_same(
    expression: str, zone: str, start: datetime
) -> None:
    rule = check_recurrence(kind="cron", expression=expression, time_zone=zone, now=start)

    found = list(islice(upcoming(rule, start), 30))

    assert all(earlier < later for earlier, later in pairwise(found))
    assert list(islice(upcoming(rule, found[9]), 20)) == found[10:]


@settings(deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia"]),
    local=st.datetimes(datetime(2009, 1, 1), datetime(2027, 12, 31)),
)
def test_a_local_time_that_exists_maps_to_an_instant_that_shows_it(zone: str, local: datetime) -> None:
    local, info = local.replace(microsecond=0), ZoneInfo(zone)

    instant = wallclock.to_instant(local, info)

    shown = instant.astimezone(info).replace(tzinfo=None)
    assert shown > local if wallclock.is_skipped(local, info) else shown == local


@pytest.mark.parametrize(
    ("now", "minutes"),
    [
        # Spring: from half past one (00:30Z) the next half hour is three o'clock (01:00Z).
        (datetime(2026, 3, 29, 0, 15, tzinfo=UTC), ["00:30", "01:00", "01:30"]),
        # Autumn: two o'clock and half past two come twice.
        (datetime(2026, 10, 24, 23, 45, tzinfo=UTC), ["00:00", "00:30", "01:00", "01:30", "02:00"]),
    ],
)
def test_every_half_hour_goes_by_elapsed_time_on_nights_when_clocks_change(now: datetime, minutes: list[str]) -> None:
    rule = check_recurrence(kind="cron", expression="*/30 * * * *", time_zone="Europe/Berlin", now=now)

    assert [f"{at:%H:%M}" for at in islice(upcoming(rule, now), len(minutes))] == minutes


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 9 1 * MON", ["03-30", "04-01", "04-06"]),  # on the first, and on Mondays
        ("0 9 * * MON", ["03-30", "04-06", "04-13"]),
        ("0 9 */2 * MON", ["04-13", "04-27", "05-11"]),  # a Monday on an odd day: the field begins with a star
    ],
)
def test_a_day_of_the_month_with_a_weekday_is_either_unless_one_begins_with_a_star(
    expression: str, days: list[str]
) -> None:
    rule = check_recurrence(kind="cron", expression=expression, time_zone="Europe/Berlin", now=BEFORE_SPRING)

    assert [f"{at:%m-%d}" for at in islice(upcoming(rule, BEFORE_SPRING), len(days))] == days
