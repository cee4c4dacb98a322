"""Lanes with work that no sender drains are told, with their names and ages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import main
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.ids import DispatchId, EmailId, Lane, RunId, run_of_email
from mailroom.domain.lane_names import schedule_lane
from mailroom.services.operations import undrained_lanes
from mailroom.storage.database import Db
from mailroom.storage.dispatches import document as dispatches
from tests.support.builders import make_due, stored_schedule
from tests.support.caller import Caller
from tests.support.system import System
from tests.support.workers import checked_in

LANE = Lane("mail/3")


@pytest.fixture
def waits(db: Db) -> None:
    """A mail is due for two minutes."""
    run = run_of_email(EmailId("em_1"))
    new = NewDispatch(DispatchId("em_1-e"), RunId(run), None, LANE, 0, 1, 1, "digest")
    inside: Any = None
    dispatches.add_many(db, [new], now=datetime.now(UTC) - timedelta(minutes=2), session=inside)


@pytest.mark.usefixtures("waits")
def test_a_lane_with_work_and_no_holder_is_reported_with_its_age(db: Db) -> None:
    (found,) = undrained_lanes.undrained(db)

    assert found.lane == LANE
    assert timedelta(minutes=2) <= found.age < timedelta(minutes=3)


@pytest.mark.usefixtures("waits")
def test_a_lane_that_a_sender_says_it_holds_is_not_reported(db: Db) -> None:
    checked_in(db, lanes=[LANE])

    assert undrained_lanes.undrained(db) == []


@pytest.mark.usefixtures("waits")
def test_a_sender_that_says_nothing_any_more_holds_nothing(db: Db) -> None:
    checked_in(db, lanes=[LANE], ago=timedelta(minutes=1))

    assert [one.lane for one in undrained_lanes.undrained(db)] == [LANE]


@pytest.mark.usefixtures("waits")
def test_a_lane_that_waits_for_its_accounts_sake_is_not_reported(db: Db) -> None:
    later = datetime.now(UTC) + timedelta(minutes=5)
    db.lanes.insert_one({"_id": LANE, "token": 1, "waits_until": later, "waits_why": "quota"})

    assert undrained_lanes.undrained(db) == []


def test_a_schedule_that_is_due_and_that_nobody_plans_is_reported(db: Db) -> None:
    schedule = stored_schedule(db)
    make_due(db, schedule, since=timedelta(hours=2))

    (found,) = undrained_lanes.undrained(db)

    assert found.lane == schedule_lane(schedule.id)
    assert found.age > timedelta(minutes=30)


def test_what_is_due_for_seconds_is_nobodys_fault_yet(db: Db) -> None:
    inside: Any = None
    new = NewDispatch(DispatchId("em_2-e"), RunId("em_2"), None, LANE, 0, 1, 1, "digest")
    dispatches.add_many(db, [new], now=datetime.now(UTC) - timedelta(seconds=20), session=inside)

    assert undrained_lanes.undrained(db) == []


@pytest.mark.usefixtures("waits")
def test_doctor_and_metrics_name_it(system: System, call: Caller) -> None:
    said = CliRunner().invoke(main, ["doctor"], env=system.environment | {"COLUMNS": "300"})
    shown = call("GET", "/metrics").text

    assert said.exit_code == 1
    assert "no sender drains mail/3 (for 12" in said.output
    assert "mailroom_undrained_lanes 1.0" in shown
    assert "mailroom_undrained_seconds 12" in shown
