"""A run and its feed: fetched once, kept for good, waited for without holding anybody back, and left out as set."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import RunState
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.services.common import sending_switch
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.services.dispatching.requests import Preparing
from mailroom.services.planning import asked_runs, plan
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import pause as schedule_pause
from mailroom.storage.database import Db, server_now
from mailroom.storage.schedules import awaited_feeds, run_feeds, runs
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.explaining import work_of
from tests.support.fed import asked_run, fed_schedule, is_due_again, provide, provide_all, titles, waiting
from tests.support.feed_server import FeedServer, a_feed_server, says, says_items
from tests.support.lines import TAKEN, Line, a_run
from tests.support.planned import hold, runs_of

HOUR = timedelta(hours=1)
A, B, C = ({"id": name, "title": name.upper()} for name in "abc")
AWAY = says("no", status="503 Service Unavailable")


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with a_feed_server() as made:
        made.answer = says_items(A, B)
        yield made


def sent(line: Line, run_id: Any) -> None:
    """Plan the run and have a provider accept its mails."""
    line.plan(runs.get(line.db, run_id).schedule_id)
    line.record([one for one in line.cross(line.claim()).go if one.run_id == run_id], TAKEN)


def test_a_run_is_planned_only_once_it_has_its_feed_and_fetches_it_once(line: Line, server: FeedServer) -> None:
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)
    line.plan(schedule.id)
    before = runs.get(line.db, run_id)

    provide_all(line, server)
    line.plan(schedule.id)
    provide_all(line, server)

    after = runs.get(line.db, run_id)
    assert (before.state, before.placed) == (RunState.PLANNING, 0)
    assert (after.state, after.placed, after.awaits_feed) == (RunState.PLANNED, 1, None)
    assert titles(line.db, run_id) == ["A", "B"]
    assert len(server.requests) == 1


def test_a_due_run_waits_for_its_feed_too(line: Line, server: FeedServer) -> None:
    schedule = fed_schedule(line.db, server)
    make_due(line.db, schedule, since=1.01 * HOUR)

    plan.plan_due(line.db, hold(line.db, schedule.id), mark=0, now=server_now(line.db))

    (run,) = runs_of(line.db, schedule.id)
    assert run.awaits_feed is not None
    assert not plan.expand(line.db, hold(line.db, schedule.id), batch_size=10, now=server_now(line.db)).moved


def test_a_run_that_waits_for_its_feed_holds_no_other_back_not_even_of_its_schedule(
    line: Line, server: FeedServer
) -> None:
    server.answer = AWAY
    schedule = fed_schedule(line.db, server)
    waits = asked_run(line, schedule)
    provide_all(line, server)
    server.answer = says_items(A)
    later = asked_run(line, schedule, "later")
    provide_all(line, server)
    other, _ = a_run(line, 3, key="other")

    line.plan(schedule.id)

    states = {id_: runs.get(line.db, id_).state for id_ in (waits, later, other)}
    assert states == {waits: RunState.PLANNING, later: RunState.PLANNED, other: RunState.PLANNED}


def test_of_two_holders_that_fetched_the_first_copy_is_the_runs_and_both_take_it(
    line: Line, server: FeedServer
) -> None:
    """The second holder has a newer token, and its feed says something else by then."""
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)
    (old,) = waiting(line)
    came, goes_on = threading.Event(), threading.Event()

    def second(connection: Any) -> None:
        came.set()
        goes_on.wait(10)
        says_items(C)(connection)

    server.answer = second
    line.take(schedule_lane(schedule.id), token=line.held[schedule_lane(schedule.id)] + 1)
    slow = threading.Thread(target=provide, args=(line, server, old))
    slow.start()
    came.wait(10)
    server.answer = says_items(A)
    provide(line, server, old)
    goes_on.set()
    slow.join()

    assert len(server.requests) == 2
    assert titles(line.db, run_id) == ["A"]
    assert line.db.run_feeds.count_documents({}) == 1


def test_a_crash_after_the_copy_was_stored_fetches_nothing_again(line: Line, server: FeedServer) -> None:
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)
    provide_all(line, server)
    line.db.runs.update_one({"_id": run_id}, {"$set": {"awaits_feed": server_now(line.db)}})  # it was not marked yet
    server.answer = says_items(C)

    line.take(schedule_lane(schedule.id), token=9)
    provide_all(line, server)
    line.plan(schedule.id)

    assert (titles(line.db, run_id), len(server.requests)) == (["A", "B"], 1)
    assert runs.get(line.db, run_id).state is RunState.PLANNED


def test_a_run_takes_what_is_newer_than_what_the_last_run_that_sent_something_had_seen(
    line: Line, server: FeedServer
) -> None:
    schedule = fed_schedule(line.db, server)
    first = asked_run(line, schedule, "1")
    provide_all(line, server)
    sent(line, first)
    server.answer = says_items(C, A, B)
    failed = asked_run(line, schedule, "2")  # nothing of it is accepted
    provide_all(line, server)
    server.answer = says_items(C, B)
    third = asked_run(line, schedule, "3")
    provide_all(line, server)
    sent(line, third)
    server.answer = says_items(A, B, C)
    fourth = asked_run(line, schedule, "4")
    provide_all(line, server)

    assert [titles(line.db, id_) for id_ in (first, failed, third, fourth)] == [["A", "B"], ["C"], ["C"], []]
    assert runs.get(line.db, fourth).state is RunState.SKIPPED


def test_without_only_newer_a_run_takes_the_whole_feed(line: Line, server: FeedServer) -> None:
    schedule = fed_schedule(line.db, server, only_newer=False)
    first = asked_run(line, schedule, "1")
    provide_all(line, server)
    sent(line, first)

    second = asked_run(line, schedule, "2")
    provide_all(line, server)

    assert titles(line.db, second) == ["A", "B"]


@pytest.mark.parametrize(("says_now", "reason"), [([A, B], "nothing new in its feed"), ([], "nothing in its feed")])
def test_a_run_without_anything_new_is_skipped_with_its_reason(
    line: Line, server: FeedServer, says_now: Any, reason: str
) -> None:
    schedule = fed_schedule(line.db, server)
    first = asked_run(line, schedule, "1")
    provide_all(line, server)
    sent(line, first)
    server.answer = says_items(*says_now)

    second = asked_run(line, schedule, "2")
    provide_all(line, server)
    line.plan(schedule.id)

    run = runs.get(line.db, second)
    assert (run.state, run.reason, run.placed, run.awaits_feed) == (RunState.SKIPPED, reason, 0, None)
    assert line.db.messages.count_documents({"run_id": second}) == 0


def test_a_run_without_anything_new_is_sent_if_so_set(line: Line, server: FeedServer) -> None:
    server.answer = says_items()
    schedule = fed_schedule(line.db, server, when_empty="send")
    run_id = asked_run(line, schedule)

    provide_all(line, server)
    line.plan(schedule.id)

    assert runs.get(line.db, run_id).state is RunState.PLANNED


def test_a_holder_that_has_lost_the_lane_skips_nothing(line: Line, server: FeedServer) -> None:
    server.answer = says_items()
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)
    (awaited,) = waiting(line)
    old = line.held[schedule_lane(schedule.id)]
    line.take(schedule_lane(schedule.id), token=old + 1)

    with pytest.raises(StaleToken):
        provide(line, server, awaited, token=Token(old))

    assert runs.get(line.db, run_id).state is RunState.PLANNING
    provide_all(line, server)
    assert runs.get(line.db, run_id).state is RunState.SKIPPED
    assert len(server.requests) == 1  # the copy that the old holder stored is taken


def test_a_feed_that_is_away_is_tried_again_and_the_reason_stands_on_the_run(line: Line, server: FeedServer) -> None:
    server.answer = AWAY
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)

    provide_all(line, server)
    first = runs.get(line.db, run_id)
    provide_all(line, server)  # not due yet

    assert (first.feed_tries, first.feed_problem) == (1, f"{server.place} answered 503")
    assert timedelta(seconds=3) < first.awaits_feed - server_now(line.db) <= timedelta(seconds=5)  # type: ignore[operator]
    assert len(server.requests) == 1
    server.answer = says_items(A)
    is_due_again(line.db, run_id)
    provide_all(line, server)
    assert (titles(line.db, run_id), runs.get(line.db, run_id).feed_problem) == (["A"], "")


@pytest.mark.parametrize(
    ("when_away", "state", "kept_without"), [("skip", RunState.SKIPPED, False), ("send", RunState.PLANNED, True)]
)
def test_at_the_deadline_a_run_is_skipped_or_goes_without_as_set(
    line: Line, server: FeedServer, when_away: str, state: RunState, kept_without: bool
) -> None:
    server.answer = says("<html/>")
    schedule = fed_schedule(line.db, server, when_away=when_away, deadline_s=60)
    run_id = asked_run(line, schedule)
    provide_all(line, server)
    then = server_now(line.db) - timedelta(seconds=61)
    line.db.runs.update_one({"_id": run_id}, {"$set": {"due_at": then, "created_at": then, "awaits_feed": then}})

    provide_all(line, server)
    line.plan(schedule.id)

    run, kept = runs.get(line.db, run_id), run_feeds.find(line.db, run_id)
    why = "it is XML, but neither RSS nor Atom"
    assert (run.state, kept is not None) == (state, kept_without)
    assert run.reason == (None if kept_without else f"its feed did not come: {why}")
    assert kept is None or (kept.away, kept.items) == (why, [])
    assert len(server.requests) == 2


def test_a_cancelled_run_fetches_nothing_and_its_people_are_written_down(line: Line, server: FeedServer) -> None:
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)
    (awaited,) = waiting(line)

    schedule_pause.cancel_run(line.db, line.brakes, run_id)
    line.plan(schedule.id)

    assert waiting(line) == []
    assert line.db.messages.find_one({"run_id": run_id})["state"] == "cancelled"  # type: ignore[index]
    provide(line, server, awaited)  # one under way
    assert runs.get(line.db, run_id).state is RunState.CANCELLED


def test_a_paused_run_fetches_nothing_until_it_is_resumed(line: Line, server: FeedServer) -> None:
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    paused, wanted = waiting(line), wanted_lanes(line.db)
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="ann")

    assert (paused, wanted) == ([], [])
    assert [awaited.run.id for awaited in waiting(line)] == [run_id]
    assert wanted_lanes(line.db) == [schedule_lane(schedule.id)]


def test_a_run_that_is_paused_while_its_feed_is_fetched_is_not_skipped(line: Line, server: FeedServer) -> None:
    server.answer = says_items()
    schedule = fed_schedule(line.db, server)
    run_id = asked_run(line, schedule)
    (awaited,) = waiting(line)
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    provide(line, server, awaited)
    paused = runs.get(line.db, run_id)
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="ann")
    provide_all(line, server)

    assert paused.state is RunState.PLANNING
    assert runs.get(line.db, run_id).state is RunState.SKIPPED
    assert len(server.requests) == 1


def test_nothing_is_fetched_while_all_sending_is_stopped(line: Line, server: FeedServer) -> None:
    asked_run(line, fed_schedule(line.db, server))

    sending_switch.stop(line.db, line.holds, line.fences, by="ann")

    assert waiting(line) == []
    assert wanted_lanes(line.db) == []


def test_a_run_whose_feed_is_tried_again_later_asks_for_no_lane_until_then(line: Line, server: FeedServer) -> None:
    server.answer = AWAY
    asked_run(line, fed_schedule(line.db, server))
    before = wanted_lanes(line.db)

    provide_all(line, server)

    assert (len(before), wanted_lanes(line.db)) == (1, [])


def test_a_resend_says_what_its_source_said(line: Line, server: FeedServer) -> None:
    schedule = fed_schedule(line.db, server)
    source = asked_run(line, schedule)
    provide_all(line, server)
    schedule_pause.cancel_run(line.db, line.brakes, source)
    line.plan(schedule.id)
    server.answer = says_items(C)

    again, _ = resend_runs.run_again(line.db, source, owner="tests", key="again", batch_size=10)
    provide_all(line, server)

    assert titles(line.db, again.id) == ["A", "B"]
    assert len(server.requests) == 1


def test_a_call_carries_the_feed_that_its_run_has_kept(line: Line, server: FeedServer) -> None:
    """Whatever the feed says by then."""
    schedule = fed_schedule(line.db, server)
    asked_run(line, schedule)
    provide_all(line, server)
    line.plan(schedule.id)
    server.answer = says_items(C)
    batches: list[Any] = []

    class Seen(MailgunAdapter):
        def build(self, batch: Any) -> Any:
            batches.append(batch)
            return super().build(batch)

    bounds = {"call_timeout_s": 5, "idle_limit_s": 60}
    adapter = Seen(domain="mg.example.com", base_url="http://127.0.0.1:1", api_key="key", **bounds)
    Preparing(line.db, {"mailgun": adapter}).build(line.claim())

    (batch,) = batches
    assert [item["title"] for item in batch.run_values.by_name["feed"]["items"]] == ["A", "B"]


def test_after_a_restore_a_sender_reads_contents_and_feeds_anew(line: Line, server: FeedServer) -> None:
    """A revision, and the copy of a run's feed, never change; but a restored MongoDB gives their names out again."""
    schedule = fed_schedule(line.db, server)
    run = asked_run(line, schedule)
    provide_all(line, server)
    line.plan(schedule.id)
    claimed, seen = line.claim(), list[Any]()

    class Seen(MailgunAdapter):
        def build(self, batch: Any) -> Any:
            seen.append((batch.content.sender, batch.run_values.by_name["feed"]["items"][0]["title"]))
            return super().build(batch)

    bounds = {"call_timeout_s": 5, "idle_limit_s": 60}
    adapter = Seen(domain="mg.example.com", base_url="http://127.0.0.1:1", api_key="key", **bounds)
    preparing = Preparing(line.db, {"mailgun": adapter})
    preparing.build(claimed)
    line.db.contents.update_one({"_id.schedule": schedule.id}, {"$set": {"sender": "New <new@mg.example.com>"}})
    kept = line.db.run_feeds.find_one({"_id": run})
    assert kept
    line.db.run_feeds.update_one({"_id": run}, {"$set": {"values": kept["values"].replace('"A"', '"New"')}})

    preparing.build(claimed)
    preparing.forget()
    preparing.build(claimed)

    assert seen[0] == seen[1] != seen[2]
    assert seen[2] == ("New <new@mg.example.com>", "New")


def test_a_run_without_a_feed_is_as_before(line: Line) -> None:
    run_id, _ = a_run(line, 2)

    assert (runs.get(line.db, run_id).awaits_feed, waiting(line)) == (None, [])


def test_looking_for_feeds_costs_by_those_that_wait_and_not_by_the_runs_there_are(
    line: Line, server: FeedServer
) -> None:
    schedules = [stored_schedule(line.db, recipients=recipients(1)) for _ in range(3)]
    for schedule in schedules:
        for number in range(20):
            asked_runs.run_now(line.db, schedule.id, owner="tests", key=str(number))
    fed = fed_schedule(line.db, server)
    asked_run(line, fed)
    ids, now = [fed.id, *(schedule.id for schedule in schedules)], server_now(line.db)

    asked = work_of(line.db, lambda db: awaited_feeds.awaiting_feeds(db, ids, now=now, limit=10))
    wanted = work_of(line.db, lambda db: awaited_feeds.schedules_awaiting_feeds(db, now=now, limit=10, but=[]))
    earlier = work_of(line.db, lambda db: run_feeds.newest_of(db, fed.id, before=now, limit=10))

    assert (asked.documents, wanted.documents, earlier.documents) == (1, 1, 0)
    assert not (asked.walks_a_collection or wanted.walks_a_collection or earlier.walks_a_collection)
    assert not (asked.sorts or wanted.sorts or earlier.sorts)


def wanted_lanes(db: Db) -> list[str]:
    now = server_now(db)
    return list(dispatching_lanes.lanes_wanting_work(db, now=now, ahead=timedelta(), limit=50, leave_out=[]))
