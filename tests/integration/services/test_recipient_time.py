"""A run in each recipient's own time: one run, planned at once, each slice of it held until its hour."""

import random
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.recipient_times import TIME_HAD_PASSED
from mailroom.domain.runs import RunState
from mailroom.domain.slice_places import WINDOW
from mailroom.services.audiences import selecting
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.operations import ledger
from mailroom.services.planning import plan, windows
from mailroom.services.planning.composing import ChunkComposer
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle
from mailroom.services.schedules import view as schedule_view
from mailroom.storage import suppressions
from mailroom.storage.cluster import restore_mark
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import claims
from mailroom.storage.schedules import due_schedules
from tests.support.living import a_row, mailed, people, put, remove, run_now
from tests.support.planned import expand_all, hold, runs_of
from tests.support.zoned import (
    BERLIN,
    DAILY,
    FOUR,
    KOLKATA,
    NEW_YORK,
    SECOND,
    TOKYO,
    ZONES,
    a_zoned_schedule,
    decide,
    expand,
    move,
    people_in,
    plan_at,
    put_back,
    times_of,
)

HOUR = timedelta(hours=1)


def claimable(db: Db, schedule: ScheduleId, *, now: datetime) -> set[str]:
    """Whose mails a sender may claim now, by name."""
    found = [one.id for one in claims.claimable(db, [schedule_lane(schedule)], now=now, limit=1_000)]
    return {doc["address"].partition("@")[0] for doc in db.messages.find({"dispatch_id": {"$in": found}})}


def test_each_contact_gets_it_at_the_wall_time_of_its_own_zone(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR))

    assert decide(db, schedule, now=TOKYO - SECOND) == []
    run = plan_at(db, schedule, TOKYO)

    assert times_of(db, run.id) == {"ann": TOKYO, "bo": BERLIN, "cy": NEW_YORK, "dee": BERLIN}
    assert (run.due_at, run.starts_at) == (BERLIN, TOKYO)
    assert run.id == f"{schedule}-20270201T080000Z"
    assert [claimable(db, schedule, now=at) for at in (TOKYO, BERLIN - SECOND, BERLIN, NEW_YORK)] == [
        {"ann"},
        {"ann"},
        {"ann", "bo", "dee"},
        {"ann", "bo", "cy", "dee"},
    ]
    (run,) = runs_of(db, schedule)
    assert run.state is RunState.PLANNED
    slices = run_views.view(db, run.id).slices
    assert [(one.at, one.mails, one.calls, one.open) for one in slices] == [
        (TOKYO, 1, 1, 1),
        (BERLIN, 2, 1, 1),
        (NEW_YORK, 1, 1, 1),
    ]


@pytest.mark.parametrize(("now", "since"), [(TOKYO - SECOND, None), (TOKYO + HOUR, TOKYO)], ids=["none", "one"])
def test_planning_tells_from_when_on_something_of_its_slices_may_go(
    db: Db, now: datetime, since: datetime | None
) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR))
    (run,) = decide(db, schedule, now=TOKYO)

    told: list[Mapping[RunId, datetime]] = []

    plan.expand(db, hold(db, schedule), batch_size=1_000, now=now, announce=lambda going: told.append(dict(going)))

    assert told == [{run.id: since} if since else {}]


def test_dispatches_carry_the_names_of_their_slices(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR))

    run = plan_at(db, schedule, TOKYO)

    ids = sorted(doc["_id"].removeprefix(run.id) for doc in db.dispatches.find({"run_id": run.id}))
    assert ids == ["-d00000z010000", "-d00001z010800", "-d00002z011400"]


def test_contacts_without_a_zone_have_the_default_one(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR), default_time_zone="Asia/Kolkata")

    run = plan_at(db, schedule, TOKYO)

    assert times_of(db, run.id) == {"ann": TOKYO, "bo": BERLIN, "cy": NEW_YORK, "dee": KOLKATA}


def test_a_schedules_own_list_has_time_zones_too(db: Db) -> None:
    rows = [
        {"address": "ann@example.org", "name": "Ann", "variables": {"city": "Rome"}, "time_zone": "Asia/Tokyo"},
        {"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}},
    ]
    schedule = a_zoned_schedule(db, None, recipients=rows)

    run = plan_at(db, schedule, TOKYO)

    assert times_of(db, run.id) == {"ann": TOKYO, "bo": BERLIN}


def test_the_earliest_zone_counts_of_those_who_are_there_when_it_comes(db: Db) -> None:
    """Planning looks whenever the time comes somewhere: somebody from Tokyo is added just in time."""
    audience = people_in(db, {"bo": "Europe/Berlin"})
    schedule = a_zoned_schedule(db, audience)
    assert decide(db, schedule, now=TOKYO - 5 * HOUR) == []
    move(db, audience, "ann", "Asia/Tokyo")

    assert decide(db, schedule, now=TOKYO - SECOND) == []
    run = plan_at(db, schedule, TOKYO)

    assert times_of(db, run.id) == {"ann": TOKYO, "bo": BERLIN}


def test_whoever_leaves_before_the_run_begins_makes_it_begin_later(db: Db) -> None:
    audience = people_in(db, FOUR)
    schedule = a_zoned_schedule(db, audience)
    remove(db, audience, "ann")

    assert decide(db, schedule, now=TOKYO + HOUR) == []
    run = plan_at(db, schedule, BERLIN)

    assert run.starts_at == BERLIN
    assert times_of(db, run.id) == {"bo": BERLIN, "cy": NEW_YORK, "dee": BERLIN}


def test_planning_looks_at_a_waiting_schedule_once_an_instant_not_all_the_time(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, {"cy": "America/New_York"}))
    now, looks = BERLIN - 13 * HOUR, 0  # 09:00 in Kiritimati

    while not runs_of(db, schedule):
        (found,) = due_schedules.due_among(db, [schedule], now=now, limit=10)
        assert found.next_run_at == BERLIN
        decide(db, schedule, now=now)
        assert due_schedules.due_among(db, [schedule], now=now, limit=10) == []
        stored = schedule_view.get(db, schedule).schedule
        now, looks = stored.wanted_at or now, looks + 1

    assert runs_of(db, schedule)[0].starts_at == NEW_YORK
    assert 20 < looks < 40


def test_who_moves_or_comes_after_the_run_began_changes_nothing_of_it(db: Db) -> None:
    audience = people_in(db, FOUR)
    schedule = a_zoned_schedule(db, audience)
    decide(db, schedule, now=TOKYO)
    later = server_now(db) + 365 * 24 * HOUR  # versions are later than the beginning, as they would be
    db.audiences.update_one({"_id": audience}, {"$set": {"version": later}})
    for name, zone in {"ann": "America/New_York", "cy": "Asia/Tokyo", "eve": "America/New_York"}.items():
        move(db, audience, name, zone)

    expand(db, schedule, now=TOKYO)

    (run,) = runs_of(db, schedule)
    assert times_of(db, run.id) == {"ann": TOKYO, "bo": BERLIN, "cy": NEW_YORK, "dee": BERLIN}


@pytest.mark.parametrize("batch_size", [1_000, 70])
def test_each_contact_is_planned_once_whoever_crashes_or_moves_meanwhile(db: Db, batch_size: int) -> None:
    chance = random.Random(batch_size)
    zones = {f"r{n:05d}": chance.choice(list(ZONES)) for n in range(2 * CHUNK_RECIPIENTS + 700)}
    audience = people_in(db, zones)
    schedule = a_zoned_schedule(db, audience)
    decide(db, schedule, now=TOKYO)
    at = server_now(db) + 365 * 24 * HOUR
    db.audiences.update_one({"_id": audience}, {"$set": {"version": at}})

    token = 2
    # Each chunk is written by another holder. The one before wakes up, and may write nothing.
    while runs_of(db, schedule)[0].state is RunState.PLANNING:
        frozen, held = hold(db, schedule, token=token), hold(db, schedule, token=token + 1)
        with pytest.raises(StaleToken):
            plan.expand(db, frozen, batch_size=batch_size, now=TOKYO)
        plan.expand(db, held, batch_size=batch_size, now=TOKYO)
        move(db, audience, f"r{chance.randrange(2_000):05d}", chance.choice(list(ZONES)[:-1]) or "Asia/Tokyo")
        put(db, audience, f"new{token}")
        token += 2

    (run,) = runs_of(db, schedule)
    assert times_of(db, run.id) == {name: ZONES[zone] for name, zone in zones.items()}
    in_slices = Counter(ZONES[zone] for zone in zones.values())
    assert db.dispatches.count_documents({"run_id": run.id}) == sum(-(-n // batch_size) for n in in_slices.values())
    assert (run.state, run.recipients, run.placed) == (RunState.PLANNED, len(zones), len(zones))


def test_an_audience_of_more_than_one_window_is_planned_whole(db: Db) -> None:
    names = list(ZONES)
    zones = {f"r{n:06d}": names[n % len(names)] for n in range(WINDOW + 1_500)}
    rows = [a_row(name) | {"time_zone": zone or None} for name, zone in zones.items()]
    schedule = a_zoned_schedule(db, None, recipients=rows)

    run = plan_at(db, schedule, TOKYO)

    assert times_of(db, run.id) == {name: ZONES[zone] for name, zone in zones.items()}
    # In each window one call a slice may not be full.
    fewest = -(-len(zones) // 1_000)
    assert db.dispatches.count_documents({"run_id": run.id}) <= fewest + 2 * len(set(ZONES.values()))
    spans = sorted(doc["span"].rpartition(":")[2] for doc in db.dispatches.find({"run_id": run.id}))
    places = sorted(tuple(map(int, span.split("-"))) for span in spans)
    assert [start for start, _ in places] == [0, *(end for _, end in places[:-1])]


def test_a_small_run_between_two_chunks_costs_a_large_one_no_second_reading(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [a_row(f"r{n:04d}") | {"time_zone": "Asia/Tokyo"} for n in range(2_500)]
    large, small = a_zoned_schedule(db, None, recipients=rows), a_zoned_schedule(db, people_in(db, FOUR))
    read, readings = selecting.next_of, list[Any]()

    def counted(db: Db, goes_to: Any, **place: Any) -> Any:
        readings.append(goes_to)
        return read(db, goes_to, **place)

    decide(db, large, now=TOKYO)
    monkeypatch.setattr(windows, "next_of", counted)
    composer, held = ChunkComposer(db), hold(db, large, small)
    plan.expand(db, held, batch_size=1_000, now=TOKYO, composer=composer)
    readings_of_one = len(readings)
    decide(db, small, now=TOKYO)

    while plan.expand(db, held, batch_size=1_000, now=TOKYO, composer=composer).moved:
        pass

    assert len(times_of(db, runs_of(db, large)[0].id)) == 2_500
    assert len(readings) == readings_of_one + 1


def test_lists_that_are_merged_go_by_the_zone_of_the_first_that_holds_an_address(db: Db) -> None:
    one = people_in(db, {"ann": "Asia/Tokyo", "bo": "Europe/Berlin"}, key="1")
    two = people_in(db, {"ann": "America/New_York", "cy": "America/New_York", "dee": ""}, key="2")
    out = people_in(db, {"dee": "Asia/Tokyo"}, key="3")
    schedule = a_zoned_schedule(db, None, recipients=(), audiences=[one, two], exclude=[out])

    run = plan_at(db, schedule, TOKYO)

    assert times_of(db, run.id) == {"ann": TOKYO, "bo": BERLIN, "cy": NEW_YORK}
    assert runs_of(db, schedule)[0].recipients == 3


def test_whose_time_has_passed_gets_it_at_once_within_the_grace_else_not_at_all(db: Db) -> None:
    """No sender was there until 04:00."""
    zones = {"ann": "Asia/Tokyo", "kim": "Asia/Kolkata", "bo": "Europe/Berlin"}
    schedule, now = a_zoned_schedule(db, people_in(db, zones)), TOKYO + 4 * HOUR

    run = plan_at(db, schedule, now)

    assert run.starts_at == TOKYO
    assert times_of(db, run.id) == {"ann": None, "kim": KOLKATA, "bo": BERLIN}
    assert claimable(db, schedule, now=now) == {"kim"}
    late = db.messages.find_one({"address": "ann@example.org"})
    assert (late["state"], late["reason"]) == ("cancelled", TIME_HAD_PASSED)
    _, report = report_counts.run_report(db, run.id)
    assert (report.recipients, report.queued, report.cancelled, report.time_passed) == (3, 2, 1, 1)


@pytest.mark.parametrize(("grace_s", "skipped"), [(0, 2), (1_800, 1), (4 * 3600, 0)])
def test_the_grace_is_the_schedules(db: Db, grace_s: int, skipped: int) -> None:
    zones = {"ann": "Asia/Tokyo", "kim": "Asia/Kolkata", "bo": "Europe/Berlin"}
    schedule = a_zoned_schedule(db, people_in(db, zones), misfire={"policy": "skip", "grace_s": grace_s})

    run = plan_at(db, schedule, TOKYO + 4 * HOUR)

    assert list(times_of(db, run.id).values()).count(None) == skipped


def test_whom_the_time_had_passed_can_still_be_sent_it_by_a_person(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, {"ann": "Asia/Tokyo", "bo": "Europe/Berlin"}))
    run = plan_at(db, schedule, TOKYO + 4 * HOUR)
    db.messages.update_many({"address": "bo@example.org"}, {"$set": {"state": "delivered", "delivered_at": BERLIN}})
    db.dispatches.update_many({}, {"$set": {"state": "accepted"}})
    db.runs.update_one({"_id": run.id}, {"$set": {"state": "finished"}})

    again, _ = resend_runs.run_again(db, run.id, owner="tests", key="again", batch_size=1_000)
    expand_all(db, hold(db, schedule))

    assert people(db, again.id) == ["ann"]
    assert again.recipient_time is None  # at once


def test_the_ledger_counts_who_was_skipped_and_finds_the_rest_in_balance(db: Db) -> None:
    yesterday = server_now(db).replace(hour=0, minute=0, second=0) - 24 * HOUR
    rows = [a_row(name) | {"time_zone": zone or None} for name, zone in FOUR.items()]
    schedule = a_zoned_schedule(db, None, recipients=rows, recurrence=DAILY, misfire={"policy": "skip", "grace_s": 0})
    due = put_back(db, schedule, to=yesterday - 12 * HOUR)

    run = plan_at(db, schedule, due)  # as Tokyo had it long ago
    found = ledger.check(db, since=yesterday - 24 * HOUR, young=timedelta())

    assert times_of(db, run.id)["ann"] is None
    assert found.counted["mails skipped: the time had passed"] == 1
    assert found.counted["mails"] == 4
    assert [one for one in found.imbalances if one.kind != "instant"] == []


def test_the_next_days_run_is_planned_while_the_last_one_is_open(db: Db) -> None:
    zones = {"kai": "Pacific/Kiritimati", "pam": "Pacific/Pago_Pago"}
    schedule = a_zoned_schedule(db, people_in(db, zones), recurrence=DAILY)
    put_back(db, schedule, to=BERLIN - 20 * HOUR)
    first_day = BERLIN - 13 * HOUR

    plan_at(db, schedule, first_day)
    decide(db, schedule, now=first_day + 24 * HOUR)
    expand(db, schedule, now=first_day + 24 * HOUR)

    first, second = runs_of(db, schedule)
    assert times_of(db, first.id) == {"kai": first_day, "pam": BERLIN + 12 * HOUR}
    assert times_of(db, second.id) == {"kai": first_day + 24 * HOUR, "pam": BERLIN + 36 * HOUR}
    assert (first.state, second.state) == (RunState.PLANNED, RunState.PLANNED)
    open_still = claimable(db, schedule, now=BERLIN + 12 * HOUR)
    assert open_still == {"kai", "pam"}


def test_a_run_takes_the_content_of_its_beginning(db: Db) -> None:
    audience = people_in(db, {"ann": "Asia/Tokyo", "bo": "Europe/Berlin"})
    schedule = a_zoned_schedule(db, audience)
    plan_at(db, schedule, TOKYO)

    edit_schedule.edit(db, schedule, {"text": "Later, {{ name }}"}, seen_version=None)

    (run,) = runs_of(db, schedule)
    assert run.revision == 1
    assert not any("Later" in text for text in mailed(db, run.id).values())


def test_stopping_a_run_cancels_the_slices_that_are_still_to_come(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR))
    run = plan_at(db, schedule, TOKYO)
    db.dispatches.update_one({"not_before": TOKYO}, {"$set": {"state": "accepted"}})

    cancel_runs.cancel(db, run.id)

    assert Counter(doc["state"] for doc in db.dispatches.find()) == {"accepted": 1, "cancelled": 2}
    assert claimable(db, schedule, now=NEW_YORK + HOUR) == set()


def test_all_recipients_of_a_run_cancelled_in_planning_are_written_down(db: Db) -> None:
    chance = random.Random(5)
    zones = {f"r{n:04d}": chance.choice(list(ZONES)) for n in range(CHUNK_RECIPIENTS + 300)}
    schedule = a_zoned_schedule(db, people_in(db, zones))
    (run,) = decide(db, schedule, now=TOKYO)
    plan.expand(db, hold(db, schedule), batch_size=100, now=TOKYO)

    cancel_runs.cancel(db, run.id)
    expand(db, schedule, now=TOKYO, batch_size=100)

    assert Counter(doc["state"] for doc in db.messages.find()) == {"cancelled": len(zones)}
    assert db.dispatches.count_documents({"state": "pending"}) == 0
    assert report_counts.run_report(db, run.id)[1].time_passed == 0


def test_a_pause_holds_the_slices_to_come_and_a_resume_lets_them_go(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR))
    run = plan_at(db, schedule, TOKYO)

    lifecycle.pause(db, schedule, by="ann")
    held = db.holds.find_one({"_id": run.id})
    lifecycle.resume(db, schedule, by="ann")

    assert held is not None
    assert claimable(db, schedule, now=BERLIN) == {"ann", "bo", "dee"}


def test_a_schedule_that_is_paused_when_its_time_comes_gives_no_run(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR), recurrence=DAILY)

    lifecycle.pause(db, schedule, by="ann")

    assert decide(db, schedule, now=BERLIN + HOUR) == []
    assert lifecycle.resume(db, schedule, by="ann").look_at is not None


def test_run_now_goes_to_everybody_at_once(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR))

    run = run_now(db, schedule)
    expand_all(db, hold(db, schedule))

    assert {at.replace(microsecond=0) for at in times_of(db, run).values() if at} != set()
    assert db.dispatches.count_documents({"run_id": run}) == 1


def test_a_run_that_is_planned_again_in_an_older_copy_has_the_same_calls(db: Db) -> None:
    chance = random.Random(3)
    zones = {f"r{n:04d}": chance.choice(list(ZONES)) for n in range(CHUNK_RECIPIENTS + 500)}
    schedule = a_zoned_schedule(db, people_in(db, zones))
    copy = db.schedules.find_one({"_id": schedule})
    plan_at(db, schedule, TOKYO)
    calls = {(doc["_id"], doc["span"], doc["digest"], doc["not_before"]) for doc in db.dispatches.find()}

    for collection in (db.runs, db.messages, db.dispatches):
        collection.delete_many({})
    db.schedules.replace_one({"_id": schedule}, copy)
    restore_mark.set_replay(db, TOKYO - HOUR, TOKYO + 20 * HOUR)
    db.lanes.delete_many({})
    plan_at(db, schedule, TOKYO + 30 * HOUR)

    again = {(doc["_id"], doc["span"], doc["digest"], doc["not_before"]) for doc in db.dispatches.find()}
    assert again == calls
    assert db.messages.count_documents({"state": "cancelled"}) == 0


def test_who_must_get_nothing_is_left_out_and_takes_nobody_along(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR))
    suppressions.add_bounced(db, ["bo@example.org"], at=server_now(db))

    run = plan_at(db, schedule, TOKYO)

    assert times_of(db, run.id) == {"ann": TOKYO, "bo": None, "cy": NEW_YORK, "dee": BERLIN}
