"""What services count as they write it: planned, skipped, accepted twice; and since when a mail is due."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, Refusal, Refused
from mailroom.services.planning import plan
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches.document import claimable_of
from mailroom.storage.schedules import runs
from mailroom.watching import planning, sending
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.lines import Line, a_run
from tests.support.planned import expand_all, hold

Grown = Callable[..., Callable[[], float]]


@pytest.fixture
def grown() -> Grown:
    """By how much a counter has grown since now."""

    def since(registry: Any, name: str, **labels: str) -> Callable[[], float]:
        def value() -> float:
            return registry.get_sample_value(name, labels) or 0.0

        before = value()
        return lambda: value() - before

    return since


def test_the_time_at_which_mails_were_due_survives_retries_and_splits(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    due_at = runs.get(line.db, run_id).due_at
    (whole,) = line.waiting().dispatches

    claimed = line.claim()
    line.cross(claimed)
    line.record(claimed, Refused(Refusal.RECIPIENT, "one of them", code=400))
    parts = line.waiting().dispatches
    line.record(line.claim(), Refused(Refusal.NOT_CALLED, "the connection broke"))

    assert len(parts) == 2
    assert {one.due_at for one in (whole, *parts, *line.waiting().dispatches)} == {due_at}


def test_a_single_mail_is_due_when_it_was_handed_in_or_at_its_send_at(call: Caller, db: Db) -> None:
    call("POST", "/v1/emails", json=an_email())
    at_once = db.dispatches.find_one({})
    db.dispatches.delete_many({})
    tomorrow = server_now(db) + timedelta(days=1)
    call("POST", "/v1/emails", json=an_email(send_at=tomorrow.isoformat()))
    later = db.dispatches.find_one({})

    assert claimable_of(at_once).due_at == at_once["created_at"]
    assert claimable_of(later).due_at == tomorrow


def test_runs_skipped_instants_and_planned_mails_are_counted_once_they_are_stored(db: Db, grown: Grown) -> None:
    schedule = stored_schedule(db, recipients=recipients(7))
    make_due(db, schedule, since=timedelta(hours=3, minutes=1))
    made = grown(planning.REGISTRY, "mailroom_planned_runs_total")
    skipped = grown(planning.REGISTRY, "mailroom_skipped_instants_total")
    queued = grown(planning.REGISTRY, "mailroom_planned_mails_total", state="queued")
    held = hold(db, schedule.id)

    plan.plan_due(db, held, mark=0, now=server_now(db))
    plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)

    stored = list(db.runs.find({}))
    assert made() == sum(run["state"] != "skipped" for run in stored) >= 1
    assert skipped() == sum(run.get("instants", 1) for run in stored if run["state"] == "skipped") >= 1
    assert queued() == 7 * made()


def test_a_second_acceptance_is_counted(line: Line, grown: Grown) -> None:
    a_run(line, 1)
    claimed = line.claim()
    line.cross(claimed)
    twice = grown(sending.REGISTRY, "mailroom_second_acceptances_total")

    line.record(claimed, Accepted("<1@mg.example.com>"))
    once = twice()
    line.record(claimed, Accepted("<2@mg.example.com>"))

    assert (once, twice()) == (0, 1)


@pytest.mark.parametrize("ids", [("", "3f7ad249"), ("3f7ad249", "")])
def test_an_answer_and_the_log_that_shows_no_id_are_one_acceptance(
    line: Line, grown: Grown, ids: tuple[str, str]
) -> None:
    """As when a frozen sender wakes up after its call was found in the log."""
    a_run(line, 1)
    claimed = line.claim()
    line.cross(claimed)
    twice = grown(sending.REGISTRY, "mailroom_second_acceptances_total")

    for id_ in ids:
        line.record(claimed, Accepted(id_))

    assert twice() == 0
    doc = line.db.dispatches.find_one({"_id": claimed[0].id})
    assert doc
    assert len(doc["accepted"]) == 1
