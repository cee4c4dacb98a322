"""A run that is cancelled: nothing more of it is sent, and all whom it did not reach are known."""

from collections import Counter
from datetime import timedelta

import pytest

from mailroom.domain.errors import RunUnderWay
from mailroom.domain.ids import ScheduleId, Token
from mailroom.domain.runs import Run, RunState
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.dispatching import propagation
from mailroom.services.operations import ledger
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reports import runs as run_views
from mailroom.services.resending import runs as resend_runs
from mailroom.storage.database import Db, server_now
from tests.support.builders import recipients, stored_schedule
from tests.support.planned import expand_all, hold

COUNT = 2_500  # recipients: more than two chunks


def a_run_in_planning(db: Db, *, chunks: int) -> tuple[Run, dict[ScheduleId, Token]]:
    """So many of its chunks stand; and the lane, held."""
    schedule = stored_schedule(db, recipients=recipients(COUNT))
    run, _ = asked_runs.run_now(db, schedule.id, owner="tests", key="k")
    held = hold(db, schedule.id)
    for _ in range(chunks):
        plan.expand(db, held, batch_size=1_000, now=server_now(db))
    return run, held


def test_a_cancelled_run_gets_no_further_chunk_and_sends_nothing(db: Db) -> None:
    run, held = a_run_in_planning(db, chunks=1)

    cancel_runs.cancel(db, run.id)
    expand_all(db, held)

    assert [d["state"] for d in db.dispatches.find({"run_id": run.id})] == ["cancelled"]
    assert run_views.get(db, run.id).state is RunState.CANCELLED


def test_all_recipients_of_a_run_cancelled_in_planning_are_listed_and_can_get_it(db: Db) -> None:
    run, held = a_run_in_planning(db, chunks=1)
    cancel_runs.cancel(db, run.id)
    with pytest.raises(RunUnderWay):
        resend_runs.run_again(db, run.id, owner="ann", key="too soon", batch_size=1_000)

    expand_all(db, held)

    assert Counter(m["state"] for m in db.messages.find({"run_id": run.id})) == {"cancelled": COUNT}
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    expand_all(db, held)
    queued = {m["address"] for m in db.messages.find({"run_id": again.id, "state": "queued"})}
    assert len(queued) == COUNT
    assert not ledger.check(db, since=run.created_at, young=timedelta()).imbalances


def test_what_a_run_to_the_unreached_had_not_come_to_when_it_was_cancelled_stays_on_the_first_ones_list(db: Db) -> None:
    run, held = a_run_in_planning(db, chunks=0)
    cancel_runs.cancel(db, run.id)
    expand_all(db, held)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    plan.expand(db, held, batch_size=1_000, now=server_now(db))

    cancel_runs.cancel(db, again.id)
    expand_all(db, held)
    while propagation.propagate_left_over(db):
        pass

    written = db.messages.count_documents({"run_id": again.id})
    assert 0 < written < COUNT
    assert resend_runs.unreached_by(db, run.id, after="", limit=1).left == COUNT - written
    assert resend_runs.unreached_by(db, again.id, after="", limit=1).left == written
