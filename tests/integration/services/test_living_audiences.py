"""A run goes to its audiences as they stand at its due instant, whoever is added, changed or removed meanwhile."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from mailroom.domain.addresses import fold
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.runs import Run, RunState
from mailroom.services.audiences import contacts
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.planning import plan
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import versions
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, stored_schedule
from tests.support.living import (
    a_row,
    a_schedule_to,
    an_audience,
    mailed,
    people,
    plan_all,
    put,
    remove,
    run_now,
)
from tests.support.planned import expand_all, hold, runs_of

HOUR = timedelta(hours=1)


def recount(db: Db, audience: AudienceId) -> tuple[int, list[str]]:
    """Its contacts, and the merge fields that all have, from the contacts alone."""
    rows = list(db.recipients.find({"_id.a": audience, "until": {"$exists": False}}))
    common = set.intersection(*(set(row["variables"]) for row in rows)) if rows else set()
    return len(rows), sorted(common | {"name", "address"})


def assert_counted(db: Db, audience: AudienceId) -> None:
    stored = audiences.get(db, audience)
    assert (stored.count, list(stored.variables)) == recount(db, audience)


def test_a_run_goes_to_who_is_there_when_it_is_asked_for(db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    schedule = a_schedule_to(db, audience)

    first = run_now(db, schedule, "1")
    put(db, audience, "cy")
    remove(db, audience, "ann")
    put(db, audience, "bo", city="Oslo")
    second = run_now(db, schedule, "2")
    plan_all(db, schedule)

    assert mailed(db, first) == {"ann": "Ann" * 3 + "Rome", "bo": "Bo" * 3 + "Rome"}
    assert {name: "Oslo" in text for name, text in mailed(db, second).items()} == {"bo": True, "cy": False}
    assert [run.recipients for run in runs_of(db, schedule)] == [2, 2]
    assert_counted(db, audience)


def test_a_run_that_is_decided_late_goes_to_who_was_there_when_it_was_due(db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    schedule = stored_schedule(db, recipients=(), audience=audience)
    due = make_due(db, schedule, since=1.01 * HOUR)
    db.audiences.update_one({"_id": audience}, {"$set": {"created_at": due - HOUR}})
    remove(db, audience, "ann")
    put(db, audience, "cy")

    plan_all(db, schedule.id)

    (run,) = runs_of(db, schedule.id)
    assert people(db, run.id) == ["ann", "bo"]
    assert run.recipients == 2


def test_each_due_instant_has_the_audience_of_its_own(db: Db) -> None:
    audience = an_audience(db, "ann")
    schedule = stored_schedule(db, recipients=(), audience=audience, misfire={"policy": "run_all", "grace_s": 60})
    due = make_due(db, schedule, since=3.01 * HOUR)
    put(db, audience, "bo")
    put(db, audience, "cy")
    # As if these two changes had been made half an hour after the first and the second instant.
    for name, at in (("bo", due + HOUR / 2), ("cy", due + 1.5 * HOUR)):
        since = db.recipients.find_one({"_id": {"a": audience, "k": f"{name}@example.org"}})["since"]
        db.recipients.update_one({"_id": {"a": audience, "k": f"{name}@example.org"}}, {"$set": {"since": at}})
        noted = db.audience_versions.find_one({"_id": {"a": audience, "v": since}})
        db.audience_versions.delete_one({"_id": noted["_id"]})
        db.audience_versions.insert_one({"_id": {"a": audience, "v": at}, "count": noted["count"]})
        db.audiences.update_one({"_id": audience}, {"$set": {"version": at}})

    plan_all(db, schedule.id)

    assert [people(db, run.id) for run in runs_of(db, schedule.id)] == [["ann"], ["ann", "bo"], ["ann", "bo", "cy"]]


def test_changes_while_a_run_is_planned_neither_double_nor_lose_anybody(db: Db) -> None:
    count = 2 * CHUNK_RECIPIENTS + 500
    audience = an_audience(db, *(f"r{n:05d}" for n in range(count)))
    schedule = a_schedule_to(db, audience)
    run, held = run_now(db, schedule), hold(db, schedule)
    chance = random.Random(7)

    while plan.expand(db, held, batch_size=1_000, now=server_now(db)).moved:
        for _ in range(20):
            some = f"r{chance.randrange(count):05d}"
            if chance.random() < 0.5:
                remove(db, audience, some)
            else:
                put(db, audience, some, city="Oslo")
            put(db, audience, f"new{chance.randrange(10**6)}")

    texts = mailed(db, run)
    assert sorted(texts) == [f"r{n:05d}" for n in range(count)]
    assert not any("Oslo" in text for text in texts.values())
    assert_counted(db, audience)


def test_planning_again_after_a_crash_goes_on_with_the_same_people(db: Db) -> None:
    audience = an_audience(db, *(f"r{n:05d}" for n in range(CHUNK_RECIPIENTS + 10)))
    schedule = a_schedule_to(db, audience)
    run = run_now(db, schedule)
    plan.expand(db, hold(db, schedule), batch_size=1_000, now=server_now(db))
    remove(db, audience, f"r{CHUNK_RECIPIENTS + 5:05d}")
    put(db, audience, "zoe")

    expand_all(db, hold(db, schedule, token=2))

    assert people(db, run) == [f"r{n:05d}" for n in range(CHUNK_RECIPIENTS + 10)]


def test_a_contact_that_left_and_came_back_is_there_once(db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    schedule = a_schedule_to(db, audience)
    for number in range(3):
        remove(db, audience, "ann")
        put(db, audience, "ann", city=f"City {number}")

    run = run_now(db, schedule)
    plan_all(db, schedule)

    assert people(db, run) == ["ann", "bo"]
    assert "City 2" in mailed(db, run)["ann"]


def test_an_audience_that_is_empty_gives_a_run_to_nobody(db: Db) -> None:
    audience = an_audience(db)
    schedule = a_schedule_to(db, audience, text="Hello", subject="Hello", html="")

    run_now(db, schedule)
    plan_all(db, schedule)

    (run,) = runs_of(db, schedule)
    assert (run.state, run.recipients) == (RunState.PLANNED, 0)


def test_changes_at_the_same_time_are_versions_of_their_own(db: Db) -> None:
    audience = an_audience(db, "ann")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(db, audience, f"r{n}"), range(40)))

    assert audiences.get(db, audience).count == 41
    noted = [doc["count"] for doc in db.audience_versions.find({"_id.a": audience}).sort("_id", 1)]
    assert noted == list(range(2, 42))
    assert_counted(db, audience)


def test_a_clock_that_goes_back_makes_no_version_older(db: Db) -> None:
    audience = an_audience(db, "ann")
    put(db, audience, "bo")
    later = server_now(db) + HOUR
    db.audiences.update_one({"_id": audience}, {"$set": {"version": later}})

    put(db, audience, "cy")

    assert audiences.get(db, audience).version == later + timedelta(milliseconds=1)


def test_the_same_again_changes_nothing_and_is_no_version(db: Db) -> None:
    audience = an_audience(db, "ann")
    put(db, audience, "bo")
    before = audiences.get(db, audience)

    put(db, audience, "bo")
    done = contacts.add_many(db, audience, [a_row("ann"), a_row("bo")], on_invalid="refuse", source="tests")

    assert (done.added, done.changed, done.unchanged) == (0, 0, 2)
    assert audiences.get(db, audience) == before


def test_an_address_in_two_audiences_goes_by_the_first_and_those_left_out_get_nothing(db: Db) -> None:
    one, two = an_audience(db, "ann", "bo", city="Rome"), an_audience(db, "bo", "cy", "dee", key="2", city="Oslo")
    out = an_audience(db, "dee", "eve", key="3")
    schedule = stored_schedule(db, recipients=(), audiences=[one, two], exclude=[out]).id

    run = run_now(db, schedule)
    plan_all(db, schedule)

    texts = mailed(db, run)
    assert sorted(texts) == ["ann", "bo", "cy"]
    assert ("Rome" in texts["bo"], "Oslo" in texts["cy"]) == (True, True)
    assert runs_of(db, schedule)[0].recipients == 3


@pytest.mark.parametrize("sizes", [(2_500, 40), (1_200, 1_300), (3, 2_100)])
def test_large_audiences_side_by_side_are_merged_whole(db: Db, sizes: tuple[int, int]) -> None:
    chance = random.Random(sum(sizes))
    names = [[f"p{chance.randrange(4_000):04d}" for _ in range(size)] for size in sizes]
    one, two = (an_audience(db, *set(some), key=str(number)) for number, some in enumerate(names))
    left = [f"p{chance.randrange(4_000):04d}" for _ in range(900)]
    out = an_audience(db, *set(left), key="out")
    schedule = stored_schedule(db, recipients=(), audiences=[one, two], exclude=[out]).id

    run = run_now(db, schedule)
    put(db, one, "a-late-one")
    remove(db, out, *left[:5])
    plan_all(db, schedule)

    wanted = sorted({*names[0], *names[1]} - set(left))
    assert people(db, run) == wanted
    assert runs_of(db, schedule)[0].recipients == len(wanted)
    sizes_of_calls = [doc["messages"] for doc in db.dispatches.find({"run_id": run})]
    assert sum(sizes_of_calls) == len(wanted)
    assert len(sizes_of_calls) <= -(-len(wanted) // 1_000) + 1


def test_a_resend_knows_its_recipients_as_the_first_run_did(db: Db) -> None:
    from mailroom.services.resending import runs as resending_runs

    audience = an_audience(db, "ann", "bo")
    schedule = a_schedule_to(db, audience)
    first = run_now(db, schedule)
    plan_all(db, schedule)
    db.messages.update_many({}, {"$set": {"state": "bounced"}})
    db.dispatches.update_many({}, {"$set": {"state": "accepted"}})
    db.runs.update_one({"_id": first}, {"$set": {"state": "finished"}})
    put(db, audience, "ann", city="Oslo")
    remove(db, audience, "bo")

    again, _ = resending_runs.run_again(db, first, owner="tests", key="again", batch_size=1_000)
    expand_all(db, hold(db, schedule))

    texts = mailed(db, again.id)
    assert sorted(texts) == ["ann", "bo"]
    assert all("Rome" in text for text in texts.values())


def test_earlier_data_is_forgotten_only_when_nobody_reads_it(db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    schedule = a_schedule_to(db, audience)
    run = run_now(db, schedule)
    remove(db, audience, "ann")
    put(db, audience, "bo", city="Oslo")
    put(db, audience, "cy")
    later = server_now(db) + versions.KEPT_FOR + HOUR

    while_planned = [versions.forget_old(db, now=later + n * HOUR) for n in range(3)]
    plan_all(db, schedule)
    after = [versions.forget_old(db, now=later + n * HOUR) for n in range(3, 6)]

    assert people(db, run) == ["ann", "bo"]
    assert (while_planned, after) == ([0, 0, 0], [2, 0, 0])
    assert db.recipients.count_documents({"_id.a": audience}) == 2
    assert db.audience_versions.count_documents({}) == 1


def test_an_instant_from_before_all_that_is_kept_has_the_oldest_that_is(db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    schedule = stored_schedule(db, recipients=(), audience=audience)
    make_due(db, schedule, since=1.01 * HOUR)
    remove(db, audience, "ann")
    put(db, audience, "cy")
    later = server_now(db) + versions.KEPT_FOR + HOUR
    for n in range(3):
        versions.forget_old(db, now=later + n * HOUR)

    plan_all(db, schedule.id)

    (run,) = runs_of(db, schedule.id)
    assert people(db, run.id) == ["bo", "cy"]


def test_an_audience_of_an_earlier_version_can_be_changed(db: Db) -> None:
    """Its merge fields are not counted yet, and its contacts do not say when they came in."""
    audience = an_audience(db, "ann", "bo")
    db.recipients.update_many({}, {"$unset": {"joined_at": ""}})
    put(db, audience, "cy", plan="pro")

    stored = audiences.get(db, audience)
    assert (stored.count, stored.variables) == (3, ("address", "city", "name"))
    assert contacts.get(db, audience, "ann@example.org").joined_at is None


def test_no_audience_has_more_merge_fields_than_the_limit(db: Db) -> None:
    audience = an_audience(db, "ann")
    for start in range(0, 480, 40):
        put(db, audience, f"r{start}", **{f"f{n}": "x" for n in range(start, start + 40)})

    with pytest.raises(InvalidInput, match="at most 500 merge fields"):
        for start in range(480, 640, 40):
            put(db, audience, f"r{start}", **{f"f{n}": "x" for n in range(start, start + 40)})


def test_a_schedules_own_list_is_nobodys_to_change(db: Db) -> None:
    from mailroom.domain.errors import AudienceNotFound

    schedule = stored_schedule(db)
    own = schedule_view.get(db, schedule.id).content.audience

    with pytest.raises(AudienceNotFound):
        put(db, own, "cy")
    assert db.recipients.count_documents({"_id.a": own}) == 1


def test_a_million_changes_of_one_contact_cost_a_run_no_more_than_they_must(db: Db) -> None:
    """A run reads past the earlier data of a contact; the janitor bounds how much there is."""
    audience = an_audience(db, *(f"r{n:03d}" for n in range(200)))
    for number in range(300):
        put(db, audience, "r000", city=f"City {number}")
    schedule = a_schedule_to(db, audience)

    began = time.monotonic()
    run = run_now(db, schedule)
    plan_all(db, schedule)

    assert len(people(db, run)) == 200
    assert time.monotonic() - began < 30


def test_the_list_of_a_run_shows_what_it_is_as_of(db: Db) -> None:
    audience = an_audience(db, "ann")
    put(db, audience, "bo")
    schedule = a_schedule_to(db, audience)

    run_now(db, schedule)

    (run,) = runs_of(db, schedule)
    (list_,) = run.goes_to.lists
    assert (list_.audience, list_.at) == (audience, audience_lists.get(db, audience).version)
    assert isinstance(run, Run)
    assert fold("Bo@EXAMPLE.org") == "bo@example.org"
