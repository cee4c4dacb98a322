"""Events in a real MongoDB: each once, in any order, and reports that equal a recount."""

import json
import random
from datetime import timedelta

import pytest

from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import RunId, message_id
from mailroom.domain.messages.states import MOVES
from mailroom.domain.repeated_events import Intake
from mailroom.services.feedback.intake import group_intake, take_in
from mailroom.services.reports import counts as report_counts
from mailroom.storage.database import Db
from tests.support.builders import NOW, an_event
from tests.support.planned import a_planned_run


@pytest.fixture
def run(db: Db) -> RunId:
    """A planned run of five mails."""
    return a_planned_run(db, mails=5)


def told(run: RunId, kind: EventKind, reader: int, id_: str, **changes: object) -> Event:
    return an_event(kind, id_=id_, run_id=run, recipient=f"reader-{reader}@example.org", **changes)


def assert_report_equals_recount(db: Db, run: RunId) -> None:
    reported, recounted = report_counts.audit(db, run)
    assert reported == recounted


def test_an_event_is_stored_and_applied_once(db: Db, run: RunId) -> None:
    opened = told(run, EventKind.OPENED, 0, "o1")

    verdicts = [take_in(db, [opened], now=NOW)[0], *take_in(db, [opened, opened], now=NOW)]

    assert verdicts == [Intake.STORED, Intake.DUPLICATE, Intake.DUPLICATE]
    assert report_counts.run_report(db, run)[1].total_opens == 1


def test_the_same_event_twice_in_one_batch_counts_once(db: Db, run: RunId) -> None:
    opened = told(run, EventKind.OPENED, 0, "o1")

    assert take_in(db, [opened, opened], now=NOW) == [Intake.STORED, Intake.DUPLICATE]
    assert report_counts.run_report(db, run)[1].total_opens == 1


def test_a_one_time_token_with_another_event_is_a_replay_and_changes_nothing(db: Db, run: RunId) -> None:
    take_in(db, [told(run, EventKind.OPENED, 0, "o1", replay_key="t1")], now=NOW)

    verdict = take_in(db, [told(run, EventKind.COMPLAINED, 1, "c1", replay_key="t1")], now=NOW)

    assert verdict == [Intake.REPLAYED]
    assert report_counts.run_report(db, run)[1].complained == 0


def test_a_redelivery_with_its_own_token_is_a_duplicate(db: Db, run: RunId) -> None:
    event = told(run, EventKind.OPENED, 0, "o1", replay_key="t1")
    take_in(db, [event], now=NOW)

    assert take_in(db, [event], now=NOW) == [Intake.DUPLICATE]


def test_an_event_about_nobody_we_know_is_kept(db: Db) -> None:
    take_in(db, [an_event(EventKind.DELIVERED, id_="x", run_id=RunId("run-elsewhere"))], now=NOW)

    assert db.events.find_one()["kind"] == "delivered"


def test_an_event_before_our_own_record_of_the_send_is_not_undone_by_it(db: Db, run: RunId) -> None:
    take_in(db, [told(run, EventKind.DELIVERED, 0, "d1")], now=NOW)
    leaves, _ = MOVES["sent"]

    message = db.messages.find_one({"_id": message_id(run, "reader-0@example.org")})

    assert message["state"] == "delivered"
    assert "delivered" not in leaves


def test_a_complaint_suppresses_the_address(db: Db, run: RunId) -> None:
    take_in(db, [told(run, EventKind.COMPLAINED, 0, "c1")], now=NOW)

    assert db.suppressions.find_one()["_id"] == "reader-0@example.org"


def test_reports_equal_a_recount_whatever_the_order_and_however_often_events_come(db: Db, run: RunId) -> None:
    chance = random.Random(7)
    kinds = [EventKind.DELIVERED, EventKind.OPENED, EventKind.OPENED, EventKind.CLICKED, EventKind.BOUNCED]
    kinds += [EventKind.UNSUBSCRIBED, EventKind.COMPLAINED, EventKind.DEFERRED]
    pile = [
        told(run, kind, reader, f"{kind}-{reader}-{n}", at=NOW + timedelta(seconds=n), by_machine=bool(n % 3 == 0))
        for n, (kind, reader) in enumerate((chance.choice(kinds), chance.randrange(5)) for _ in range(120))
    ]
    pile += chance.sample(pile, 40)
    chance.shuffle(pile)

    for start in range(0, len(pile), 13):
        take_in(db, pile[start : start + 13], now=NOW)
        assert_report_equals_recount(db, run)


def test_many_threads_share_transactions_and_each_learns_its_own_verdict(db: Db, run: RunId) -> None:
    from concurrent.futures import ThreadPoolExecutor

    intake = group_intake(db)
    events = [told(run, EventKind.OPENED, n % 5, f"o{n % 60}") for n in range(120)]

    with ThreadPoolExecutor(24) as pool:
        verdicts = list(pool.map(intake.submit, events))

    assert verdicts.count(Intake.STORED) == 60
    assert report_counts.run_report(db, run)[1].total_opens == 60


def test_the_raw_event_is_kept_as_it_came(db: Db) -> None:
    raw = json.dumps({"a.b": {"$c": 2**80}})

    take_in(db, [an_event(EventKind.UNKNOWN, raw=raw)], now=NOW)

    assert db.events.find_one()["raw"] == raw
