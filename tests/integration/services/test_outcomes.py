"""What came of calls is written down in an order that no other writer can turn around."""

from typing import Any
from unittest.mock import patch

from mailroom.domain.ids import DispatchId, RunId
from mailroom.services.dispatching import propagation
from mailroom.storage.database import Db
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.messages import marks as message_marks
from mailroom.storage.schedules import run_moves
from tests.support.builders import NOW

DISPATCH = DispatchId("run-1-d000000")


def a_stored_dispatch(db: Db, **fields: Any) -> None:
    doc = {
        "_id": DISPATCH,
        "run_id": "run-1",
        "lane": "schedule/s",
        "state": "pending",
        "not_before": NOW,
        "tell": True,
    }
    db.dispatches.insert_one({**doc, **fields})
    db.messages.insert_one({"_id": "m", "run_id": "run-1", "dispatch_id": DISPATCH, "state": "in_doubt"})


def test_a_late_word_that_a_mail_waits_does_not_outlive_the_word_that_it_failed(db: Db) -> None:
    a_stored_dispatch(db)
    mark = message_marks.mark

    def fails_meanwhile(*arguments: Any) -> None:
        """Between the look and the mark another sender calls, is refused for good, and tells the mails so."""
        with patch.object(message_marks, "mark", mark):
            db.dispatches.update_one({}, {"$set": {"state": "failed", "reason": "no such user", "tell": True}})
            propagation.propagate_states(db, [DISPATCH])
        mark(*arguments)

    with patch.object(message_marks, "mark", fails_meanwhile):
        propagation.propagate_states(db, [DISPATCH])
    propagation.propagate_left_over(db)

    assert db.messages.find_one({}, {"state": 1, "_id": 0}) == {"state": "failed"}
    assert db.dispatches.find_one({"tell": True}) is None


def test_a_run_that_is_reopened_while_it_is_finished_stays_open(db: Db) -> None:
    a_stored_dispatch(db, state="unknown")
    db.runs.insert_one({"_id": "run-1", "schedule_id": "s", "state": "planned", "due_at": NOW})
    finish = run_moves.finish

    def sent_again_meanwhile(*arguments: Any, **rest: Any) -> int:
        db.dispatches.update_one({}, {"$set": {"state": "pending"}})
        run_moves.reopen(db, [RunId("run-1")])
        return finish(*arguments, **rest)

    with patch.object(run_moves, "finish", sent_again_meanwhile):
        propagation.finish_runs(db, [RunId("run-1")], now=NOW)

    assert dispatch_queries.runs_with_open(db, [RunId("run-1")])
    assert db.runs.find_one({}, {"state": 1, "_id": 0}) == {"state": "planned"}
