"""Counts of runs that have ended are kept, and equal a recount at any time whatever is told later."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.monitoring import CommandListener

from mailroom.domain.events import EventKind
from mailroom.domain.ids import DispatchId, MessageId, RunId
from mailroom.domain.messages.states import MessageTrigger
from mailroom.domain.reports import Report
from mailroom.domain.runs import Run
from mailroom.services.common.shared_answers import Shared
from mailroom.services.dispatching import propagation
from mailroom.services.feedback import intake
from mailroom.services.reports import counts as report_counts
from mailroom.services.resending import runs as resend_runs
from mailroom.storage import kept_counts, lanes
from mailroom.storage.database import Db, Session, in_transaction, snapshot
from mailroom.storage.dispatches import exclusions as dispatch_exclusions
from mailroom.storage.dispatches.exclusions import Exclusion
from mailroom.storage.messages import counts as message_counts
from mailroom.storage.messages import marks as message_marks
from tests.support.builders import a_claimed, an_event
from tests.support.caller import Caller
from tests.support.finished_runs import a_finished_run, planned

NOW = datetime.now(UTC)


def quiet(db: Db) -> None:
    """As if nothing had been marked for a while."""
    for doc in list(db.kept_counts.find()):
        moved = {"marked_at": doc["marked_at"] - kept_counts.QUIET - timedelta(seconds=1)}
        db.kept_counts.update_one({"_id": doc["_id"]}, {"$set": moved})


def report(db: Db, run: Run) -> Report:
    return report_counts.run_report(db, run.id)[1]


def recounted(db: Db, run: Run) -> Report:
    with snapshot(db) as session:
        return message_counts.report(db, [run.id], session)[run.id]


def a_kept_run(db: Db) -> Run:
    """One whose counts are kept, both of them."""
    run = a_finished_run(db, 12, failed=3, bounced=2)
    report(db, run)
    quiet(db)
    report(db, run)
    resend_runs.left_of(db, run)
    doc = db.kept_counts.find_one({"_id": run.id})
    assert doc
    assert {"report", "left"} <= doc.keys()
    return run


class Counting(CommandListener):
    """How often messages were counted."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: Any) -> None:
        self.count += event.command_name == "aggregate" and event.command.get("aggregate") == "messages"

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


def listened(db: Db) -> tuple[Db, Counting]:
    counting = Counting()
    hosts = [f"{host}:{port}" for host, port in db.client.nodes]
    client = db.client.__class__(host=hosts, event_listeners=[counting], tz_aware=True, tzinfo=UTC)
    return client.get_database(db.name, codec_options=db.codec_options), counting


def test_a_run_that_has_ended_is_counted_once(db: Db) -> None:
    run = a_kept_run(db)
    heard, counting = listened(db)

    assert report(heard, run) == recounted(db, run)
    assert resend_runs.unreached_by(heard, run.id, after="", limit=2).left == 5
    assert counting.count == 0


def test_no_count_is_kept_of_a_run_that_goes_on(db: Db) -> None:
    run = a_finished_run(db, 3)
    db.runs.update_one({"_id": run.id}, {"$set": {"state": "planned"}})

    report(db, run)

    assert db.kept_counts.count_documents({}) == 0


def test_no_count_is_kept_before_every_write_that_was_begun_has_come_through(db: Db) -> None:
    run = a_finished_run(db, 3)

    for _ in range(3):
        report(db, run)

    assert [doc.keys() & {"report", "left"} for doc in db.kept_counts.find()] == [set()]


def test_a_count_is_not_kept_where_a_change_came_between(db: Db) -> None:
    run = a_finished_run(db, 3)
    report(db, run)
    quiet(db)
    with snapshot(db) as session:
        kept = kept_counts.find(db, [run.id], session=session)[run.id]
    kept_counts.mark(db, [run.id])
    quiet(db)

    kept_counts.keep(db, {run.id: (kept, kept_counts.fields_of(Report(recipients=99)))})

    assert report(db, run) == recounted(db, run)


def test_a_count_is_not_kept_where_its_process_stood_still_and_a_write_marked_before_it_came_after(db: Db) -> None:
    run = a_finished_run(db, 3)
    report(db, run)
    kept_counts.mark(db, [run.id])  # by a write that comes through in a moment
    with snapshot(db) as session:
        kept = kept_counts.find(db, [run.id], session=session)[run.id]
    quiet(db)  # so long the counting process was frozen

    kept_counts.keep(db, {run.id: (kept, kept_counts.fields_of(Report(recipients=99)))})

    assert report(db, run) == recounted(db, run)


def some(db: Db, run: Run, state: str) -> Any:
    found = db.messages.find_one({"run_id": run.id, "state": state})
    assert found
    return found


def an_event_comes(db: Db, run: Run) -> None:
    address = some(db, run, "delivered")["address"]
    told = an_event(EventKind.OPENED, recipient=address, run_id=run.id, at=NOW)
    intake.take_in(db, [told], now=NOW)


def it_was_sent(db: Db, run: Run) -> None:
    message_marks.mark_sent(db, [DispatchId(some(db, run, "failed")["dispatch_id"])], at=NOW)


def some_were_sent(db: Db, run: Run) -> None:
    message_marks.mark_some_sent(db, [MessageId(some(db, run, "failed")["_id"])], at=NOW)


def it_waits_again(db: Db, run: Run) -> None:
    dispatch = DispatchId(some(db, run, "failed")["dispatch_id"])
    message_marks.mark(db, [message_marks.MessageMark(dispatch, MessageTrigger.NOT_SENT)])


def it_is_suppressed_at_the_last_moment(db: Db, run: Run) -> None:
    message = some(db, run, "failed")
    claimed = a_claimed(dispatch=message["dispatch_id"])
    changed = {"state": "sending", "claim_id": claimed.claim.id, "attempt": claimed.attempt}
    db.dispatches.update_one({"_id": claimed.id}, {"$set": changed})
    lane = {claimed.claim.lane: claimed.claim.token}
    lanes.raise_tokens(db, lane, "tests", now=NOW)

    def leave_out(session: Session) -> None:
        with lanes.under(db, lane, session) as guard:
            dispatch_exclusions.leave_out(db, claimed, Exclusion({message["_id"]: "no"}, [], []), now=NOW, guard=guard)

    in_transaction(db, leave_out)


CHANGES = (an_event_comes, it_was_sent, some_were_sent, it_waits_again, it_is_suppressed_at_the_last_moment)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_later_change_shows_at_once(db: Db, change: Callable[[Db, Run], None]) -> None:
    run = a_kept_run(db)
    before = report(db, run)

    change(db, run)

    assert report(db, run) == recounted(db, run) != before
    quiet(db)
    assert report(db, run) == report(db, run) == recounted(db, run)


def test_a_recipient_that_another_run_carries_is_left_out_of_the_count_at_once(db: Db) -> None:
    run = a_kept_run(db)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)

    planned(db, again)

    assert resend_runs.unreached_by(db, run.id, after="", limit=10).left == 0


def test_events_mark_a_run_now_and_then_and_no_count_is_kept_between(db: Db) -> None:
    run = a_kept_run(db)
    for number in range(3):
        address = some(db, run, "delivered")["address"]
        told = an_event(EventKind.OPENED, id_=f"e{number}", recipient=address, run_id=run.id, at=NOW)
        intake.take_in(db, [told], now=NOW)
        assert report(db, run) == recounted(db, run)

    (doc,) = db.kept_counts.find({"_id": run.id})
    assert doc["marks"] == 1


def test_a_run_is_ready_to_be_counted_once_as_soon_as_it_has_finished(db: Db) -> None:
    run = a_finished_run(db, 3)
    db.runs.update_one({"_id": run.id}, {"$set": {"state": "planned"}})

    assert propagation.finish_runs(db, [run.id], now=NOW) == 1

    assert [doc["_id"] for doc in db.kept_counts.find()] == [run.id]


def test_single_mails_have_no_reports(db: Db) -> None:
    assert kept_counts.of_dispatches([DispatchId("em_1-d00000"), DispatchId("sch_1-now-d12-d00000.abc")]) == {
        RunId("sch_1-now-d12")
    }
    assert kept_counts.of_messages([MessageId("em_1/x"), MessageId("sch_1-2/x")]) == {RunId("sch_1-2")}


def test_pages_of_who_was_not_reached_are_counted_once(call: Caller, db: Db) -> None:
    run = a_finished_run(db, 12, failed=5)
    first = call("GET", f"/v1/runs/{run.id}/unreached?limit=2").json
    db.messages.update_many({"run_id": run.id, "state": "failed"}, {"$set": {"sent_again": "x"}})

    rest = call("GET", f"/v1/runs/{run.id}/unreached", query_string={"limit": 4, "cursor": first["next_cursor"]}).json

    assert (first["left"], rest["left"]) == (5, 5)
    assert len(first["items"] + rest["items"]) == 5
    assert call("GET", f"/v1/runs/{run.id}/unreached").json["left"] == 0
    for cursor in ("W10", "WzEsMl0", "WyJhIiwiYiJd", "WyJhIiwtMV0", "bm9uc2Vuc2U"):
        assert call("GET", f"/v1/runs/{run.id}/unreached?cursor={cursor}").status_code == 422


def test_nobody_is_given_a_count_that_was_begun_before_the_question() -> None:
    busy, go_on = threading.Event(), threading.Event()
    begun: list[int] = []

    def work(_: str) -> int:
        begun.append(1)
        if len(begun) == 1:
            busy.set()
            go_on.wait(timeout=30)
        return len(begun)

    shared: Shared[str, int] = Shared(work)
    answers: list[int] = []
    first = threading.Thread(target=lambda: answers.append(shared.get("a")))
    first.start()
    busy.wait(timeout=30)
    second = threading.Thread(target=lambda: answers.append(shared.get("a")))
    second.start()
    while "a" not in shared._waiting:
        time.sleep(0.001)
    third = threading.Thread(target=lambda: answers.append(shared.get("a")))
    third.start()
    go_on.set()
    for thread in (first, second, third):
        thread.join(timeout=30)

    assert sorted(answers)[:2] == [1, 2]
    assert len(answers) == 3


def test_a_question_that_fails_fails_for_all_and_is_asked_anew() -> None:
    tries: list[int] = []

    def work(_: str) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise LookupError
        return 7

    shared = Shared(work)

    with pytest.raises(LookupError):
        shared.get("a")
    assert shared.get("a") == 7
