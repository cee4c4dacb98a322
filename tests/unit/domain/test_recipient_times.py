"""One wall time in each recipient's own zone: when it comes, through clock changes too; and when such a run begins."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.beginnings import first_look, next_look
from mailroom.domain.delivery_checks import faults_of_delivery
from mailroom.domain.misfire import Replay, SkipReason, decide
from mailroom.domain.recipient_times import DeliveryTime, RecipientTime, instants_anywhere, slice_name
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.upcoming import next_after, wall_time
from mailroom.domain.schedules import Misfire, MisfirePolicy, Schedule
from tests.support.builders import a_schedule

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
CREATED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ALL_OVER = frozenset({"Asia/Tokyo", "Europe/Berlin", "America/New_York"})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def own_time(wall: str, default_zone: str = "UTC", *, late_before: datetime = CREATED) -> RecipientTime:
    return RecipientTime(datetime.fromisoformat(wall), default_zone, CREATED, late_before)


def a_zoned_schedule(**changes: Any) -> Schedule:
    """09:00 every day, in each recipient's own time; Berlin is the schedule's zone."""
    grace_s, look_at = changes.pop("grace_s", 3600), changes.pop("look_at", None)
    rule = {"kind": "cron", "seconds": None, "expression": "0 9 * * *", "time_zone": "Europe/Berlin"} | changes
    made = a_schedule(created=CREATED, grace_s=grace_s, **rule)
    due = next_after(made.recurrence, made.decided_through)
    return replace(made, delivery=DeliveryTime.RECIPIENT_TIME, look_at=look_at, next_run_at=due)


@pytest.mark.parametrize(
    ("wall", "zone", "at"),
    [
        ("2026-12-01T09:00", "Pacific/Kiritimati", "2026-11-30T19:00"),  # the first of the world, UTC+14
        ("2026-12-01T09:00", "Australia/Lord_Howe", "2026-11-30T22:00"),
        ("2026-12-01T09:00", "Asia/Tokyo", "2026-12-01T00:00"),
        ("2026-12-01T09:00", "Asia/Kathmandu", "2026-12-01T03:15"),
        ("2026-12-01T09:00", "Asia/Kolkata", "2026-12-01T03:30"),
        ("2026-12-01T09:00", "Europe/Berlin", "2026-12-01T08:00"),
        ("2026-12-01T09:00", "UTC", "2026-12-01T09:00"),
        ("2026-12-01T09:00", "America/St_Johns", "2026-12-01T12:30"),
        ("2026-12-01T09:00", "America/New_York", "2026-12-01T14:00"),
        ("2026-12-01T09:00", "Pacific/Pago_Pago", "2026-12-01T20:00"),
        ("2026-12-01T09:00", "Etc/GMT+12", "2026-12-01T21:00"),  # the last, UTC-12
        # Summer here, winter there.
        ("2026-07-01T09:00", "Europe/Berlin", "2026-07-01T07:00"),
        ("2026-07-01T09:00", "America/New_York", "2026-07-01T13:00"),
        ("2026-07-01T09:00", "Australia/Sydney", "2026-06-30T23:00"),
        ("2026-12-01T09:00", "Australia/Sydney", "2026-11-30T22:00"),
        # The clocks skip it: right after the jump. Elsewhere it is an ordinary time of this night.
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:00"),
        ("2027-03-28T02:30", "Europe/London", "2027-03-28T01:30"),
        ("2027-03-28T02:30", "Asia/Tokyo", "2027-03-27T17:30"),
        ("2027-03-14T02:30", "America/New_York", "2027-03-14T07:00"),
        ("2027-03-14T02:30", "Europe/Berlin", "2027-03-14T01:30"),
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:30"),  # half an hour
        ("2026-04-24T00:30", "Africa/Cairo", "2026-04-23T22:00"),  # at midnight
        # They show it twice: the first time.
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30"),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30"),
        ("2027-04-04T01:45", "Australia/Lord_Howe", "2027-04-03T14:45"),
        ("2026-10-29T23:30", "Africa/Cairo", "2026-10-29T20:30"),
        # The night before and the night after a change.
        ("2027-03-27T02:30", "Europe/Berlin", "2027-03-27T01:30"),
        ("2027-03-29T02:30", "Europe/Berlin", "2027-03-29T00:30"),
    ],
)
def test_a_wall_time_comes_in_each_zone_at_an_instant_of_its_own(wall: str, zone: str, at: str) -> None:
    assert own_time(wall).slice_of(zone) == utc(at)


@pytest.mark.parametrize("zone", ["", "Atlantis/Capital", "localtime"])
def test_who_has_no_zone_or_one_that_is_not_known_has_the_default_one(zone: str) -> None:
    assert own_time("2026-12-01T09:00", "Asia/Tokyo").slice_of(zone) == utc("2026-12-01T00:00")


@pytest.mark.parametrize("wall", ["2026-12-01T09:00", "2027-03-28T02:30", "2026-10-25T02:30", "2027-01-01T00:00"])
def test_a_wall_time_comes_everywhere_within_26_hours_in_few_slices(wall: str) -> None:
    instants = instants_anywhere(datetime.fromisoformat(wall))

    assert timedelta(hours=24) <= instants[-1] - instants[0] <= timedelta(hours=26)
    assert 24 <= len(instants) <= 45
    assert instants[0] == utc(wall) - 14 * HOUR
    names = [slice_name(at) for at in instants]
    assert names == sorted(set(names))


def test_another_wall_time_or_default_zone_is_another_division() -> None:
    first = own_time("2026-12-01T09:00")

    assert own_time("2026-12-01T09:00").division == first.division
    assert own_time("2026-12-02T09:00").division != first.division
    assert own_time("2026-12-01T09:00", "Europe/Berlin").division != first.division


@pytest.mark.parametrize(
    ("expression", "after", "wall"),
    [
        ("0 9 * * *", "2026-12-01T00:00", "2026-12-01T09:00"),
        ("30 2 * * *", "2027-03-27T12:00", "2027-03-28T02:30"),  # the schedule's own clocks skip it
        ("30 2 * * *", "2026-10-24T12:00", "2026-10-25T02:30"),
    ],
)
def test_the_wall_time_is_the_one_that_the_rule_names(expression: str, after: str, wall: str) -> None:
    rule = check_recurrence(kind="cron", expression=expression, time_zone="Europe/Berlin", now=utc("2026-01-01T00:00"))
    due = next_after(rule, utc(after))

    assert due is not None
    assert wall_time(rule, due) == datetime.fromisoformat(wall)


def test_a_run_begins_when_the_time_comes_in_the_earliest_zone_of_its_contacts() -> None:
    schedule, tokyo = a_zoned_schedule(), utc("2026-11-24T00:00")

    assert decide(schedule, tokyo - SECOND, spread=ALL_OVER) is None
    decisions = decide(schedule, tokyo, spread=ALL_OVER)

    assert decisions is not None
    (due,) = decisions.due
    assert due == utc("2026-11-24T08:00")  # the schedule's own: it names the run
    assert decisions.recipient_times[due] == RecipientTime(
        datetime.fromisoformat("2026-11-24T09:00"), "Europe/Berlin", starts_at=tokyo, late_before=tokyo - HOUR
    )
    assert (decisions.decided_through, decisions.next_run_at) == (due, utc("2026-11-25T08:00"))


@pytest.mark.parametrize(
    ("spread", "begins"),
    [
        ({"Pacific/Kiritimati", "Europe/Berlin"}, "2026-11-23T19:00"),
        ({"Europe/Berlin"}, "2026-11-24T08:00"),
        ({"America/New_York"}, "2026-11-24T14:00"),  # after the due instant of the schedule
        ({"", "America/New_York"}, "2026-11-24T08:00"),  # some have none
        (set(), "2026-11-24T08:00"),  # nobody is there
        ({"Atlantis/Capital"}, "2026-11-24T08:00"),
    ],
)
def test_contacts_decide_when_a_run_begins(spread: set[str], begins: str) -> None:
    schedule = a_zoned_schedule()

    assert decide(schedule, utc(begins) - SECOND, spread=frozenset(spread)) is None
    assert decide(schedule, utc(begins), spread=frozenset(spread)) is not None


def test_the_next_days_run_begins_while_the_last_one_is_still_open() -> None:
    everywhere = frozenset({"Pacific/Kiritimati", "Etc/GMT+12"})
    schedule = a_zoned_schedule()
    first = decide(schedule, utc("2026-11-23T19:00"), spread=everywhere)
    assert first is not None
    schedule = replace(schedule, decided_through=first.decided_through, decided=1, next_run_at=first.next_run_at)

    second = decide(schedule, utc("2026-11-24T19:00"), spread=everywhere)  # the first goes on until 21:00

    assert second is not None
    assert second.due == (utc("2026-11-25T08:00"),)


@pytest.mark.parametrize(
    ("grace_s", "late", "runs"),
    [(3600, HOUR, True), (3600, HOUR + SECOND, False), (0, timedelta(), True), (0, SECOND, False)],
)
def test_a_run_is_missed_once_its_time_is_over_everywhere(grace_s: int, late: timedelta, runs: bool) -> None:
    last = utc("2026-11-24T14:00")  # New York

    decisions = decide(a_zoned_schedule(grace_s=grace_s), last + late, spread=ALL_OVER)

    assert decisions is not None
    assert bool(decisions.due) is runs
    assert [one.reason for one in decisions.skipped] == ([] if runs else [SkipReason.MISSED])


@pytest.mark.parametrize("policy", [MisfirePolicy.RUN_ONCE, MisfirePolicy.SKIP])
def test_a_missed_run_is_never_made_up_for(policy: MisfirePolicy) -> None:
    schedule = replace(a_zoned_schedule(), misfire=Misfire(policy, 3600))

    decisions = decide(schedule, utc("2026-11-26T20:00"), spread=ALL_OVER)

    assert decisions is not None
    assert decisions.due == ()
    assert decisions.skipped[0].instants == 3


@pytest.mark.parametrize(
    ("zone", "late"),
    [
        ("Asia/Tokyo", True),  # 00:00
        ("Asia/Kolkata", True),  # 03:30
        ("Asia/Karachi", False),  # 04:00, an hour ago
        ("Europe/Berlin", False),
        ("America/New_York", False),
    ],
)
def test_who_had_the_time_by_more_than_the_grace_ago_is_late(zone: str, late: bool) -> None:
    """A sender comes back at 05:00."""
    decisions = decide(a_zoned_schedule(), utc("2026-11-24T05:00"), spread=ALL_OVER)

    assert decisions is not None
    (own,) = decisions.recipient_times.values()
    assert own.starts_at == utc("2026-11-24T00:00")
    assert own.is_late(zone) is late


def test_a_run_that_an_older_copy_has_lost_is_decided_as_if_on_time() -> None:
    lost = Replay(utc("2026-11-23T23:00"), utc("2026-11-24T01:00"))

    decisions = decide(a_zoned_schedule(), utc("2026-11-26T00:00"), spread=ALL_OVER, replay=lost)

    assert decisions is not None
    first, *_ = decisions.due
    assert first == utc("2026-11-24T08:00")
    assert not decisions.recipient_times[first].is_late("Asia/Tokyo")


def test_a_run_that_was_decided_late_and_then_lost_is_judged_as_it_was() -> None:
    """A sender came back at 00:45, and decided it; the copy is of 00:30, and MongoDB came back two days later."""
    lost = Replay(utc("2026-11-24T00:30"), utc("2026-11-24T01:00"))

    decisions = decide(a_zoned_schedule(), utc("2026-11-26T00:00"), spread=ALL_OVER, replay=lost)

    assert decisions is not None
    own = decisions.recipient_times[utc("2026-11-24T08:00")]
    assert own.late_before == utc("2026-11-23T23:30")
    assert not own.is_late("Asia/Tokyo")
    assert utc("2026-11-25T08:00") not in decisions.due  # the next day's was not in the lost time, and is over


def test_a_contact_that_comes_in_after_its_time_makes_no_run_begin_earlier() -> None:
    """Somebody from Tokyo is added at 02:30; planning looks at 03:00."""
    schedule = a_zoned_schedule(look_at=utc("2026-11-24T03:00"))

    decisions = decide(schedule, utc("2026-11-24T03:00"), spread=ALL_OVER)

    assert decisions is not None
    (own,) = decisions.recipient_times.values()
    assert own.starts_at == utc("2026-11-24T03:00")
    assert own.is_late("Asia/Tokyo")


def test_planning_looks_whenever_the_time_comes_somewhere_until_the_run_begins() -> None:
    schedule = a_zoned_schedule()
    look = first_look(schedule, schedule.next_run_at, since=None)
    assert look == utc("2026-11-23T19:00")
    looks = []

    while look and decide(schedule, look, spread=frozenset({"Europe/Berlin"})) is None:
        looks.append(look)
        look = next_look(schedule, look)

    assert look == utc("2026-11-24T08:00")
    assert utc("2026-11-24T00:00") in looks
    assert len(looks) < 30


def test_planning_looks_no_earlier_than_the_schedule_was_changed() -> None:
    schedule = a_zoned_schedule()

    assert first_look(schedule, schedule.next_run_at, since=utc("2026-11-24T03:00")) == utc("2026-11-24T03:00")
    assert first_look(schedule, None, since=CREATED) is None
    assert first_look(replace(schedule, delivery=DeliveryTime.SCHEDULE_TIME), CREATED, since=None) == CREATED


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "every", "seconds": 3600},
        {"kind": "cron", "expression": "*/30 * * * *"},
        {"kind": "cron", "expression": "0 * * * *"},
        {"kind": "rrule", "expression": "FREQ=HOURLY"},
    ],
)
def test_rules_without_times_of_the_day_are_refused(rule: dict[str, Any]) -> None:
    checked = check_recurrence(**rule, time_zone="UTC", now=CREATED)

    (fault,) = faults_of_delivery("recipient_time", "", rule=checked, misfire=Misfire())

    assert fault.path == "delivery"
    assert "names hours and minutes" in fault.message


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "once", "at": datetime(2026, 12, 1, 9)},
        {"kind": "cron", "expression": "0 9,18 * * 1-5"},
        {"kind": "rrule", "expression": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0"},
    ],
)
def test_rules_with_times_of_the_day_are_taken(rule: dict[str, Any]) -> None:
    checked = check_recurrence(**rule, time_zone="UTC", now=CREATED)

    assert faults_of_delivery("recipient_time", "Asia/Tokyo", rule=checked, misfire=Misfire()) == []


def test_every_fault_of_the_delivery_is_named_at_once() -> None:
    every = check_recurrence(kind="every", seconds=60, time_zone="UTC", now=CREATED)

    faults = faults_of_delivery("recipient_time", "Berlin", rule=every, misfire=Misfire(MisfirePolicy.RUN_ALL))

    assert [fault.path for fault in faults] == ["delivery", "default_time_zone", "misfire.policy"]
    assert [f.path for f in faults_of_delivery("at_dawn", "", rule=every, misfire=None)] == ["delivery"]
    beside = faults_of_delivery("schedule_time", "Europe/Berlin", rule=every, misfire=None)
    assert [fault.path for fault in beside] == ["default_time_zone"]
