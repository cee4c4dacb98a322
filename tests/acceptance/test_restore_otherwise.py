"""After MongoDB was put back to an older copy, not everything is as it was: limits, batch sizes, lists, providers."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailroom.services.schedules import edit as edit_schedule
from tests.support.backups import QUICK, put_mongodb_aside, put_mongodb_back, put_right
from tests.support.builders import recipients
from tests.support.campaigns import a_campaign, dispatch_states, finished, marks, soon
from tests.support.emails import hand_in, status
from tests.support.memory import is_remembered
from tests.support.system import System, wait_for
from tests.support.vendors import SendGrid

COUNT = 50


@pytest.fixture
def sendgrid() -> Iterator[SendGrid]:
    with closing(SendGrid()) as made:
        yield made


def put_back_after_a_run(own: System, copy: Path, *, lost: Any = lambda schedule: None, **settings: str) -> str:
    """A campaign goes out in the time that is lost, in which `lost` happens too. Returns its schedule."""
    (sender,) = own.start_senders(1, **settings)
    schedule = a_campaign(own, COUNT, recurrence=soon(20), misfire={"policy": "skip", "grace_s": 5})
    put_mongodb_aside(own.servers, copy)
    lost(schedule)
    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is finished")
    sender.stop(grace_s=20)
    put_mongodb_back(own.servers, copy)
    put_right(own)
    return schedule


def decided(own: System, schedule: str) -> bool:
    return bool(finished(own, schedule)) and not dispatch_states(own).keys() & {"pending", "sending", "in_doubt"}


def test_a_limit_that_divides_a_campaign_divides_nothing_that_went_out(own: System, tmp_path: Path) -> None:
    own.start_api(webhooks=False)
    schedule = put_back_after_a_run(own, tmp_path / "copy")
    own.call("PUT", "/v1/rate-limits/provider/mailgun", json={"mails": 100, "per": "minute"}).raise_for_status()

    own.start_senders(1)

    wait_for(lambda: decided(own, schedule), within_s=60, what="the run is there again")
    assert marks(own) == {f"mark-{n}": 1 for n in range(COUNT)}
    assert dispatch_states(own) == {"accepted": 1}


def test_what_another_batch_size_cuts_otherwise_is_held_where_it_may_have_gone_out(own: System, tmp_path: Path) -> None:
    schedule = put_back_after_a_run(own, tmp_path / "copy", MAILROOM_BATCH_SIZE="20")

    own.start_senders(1, MAILROOM_BATCH_SIZE="15", **QUICK)

    wait_for(lambda: decided(own, schedule), within_s=60, what="the run is there again")
    assert marks(own) == {f"mark-{n}": 1 for n in range(COUNT)}
    reasons = [doc["reason"] for doc in own.db.dispatches.find({"state": "unknown"})]
    assert any("the run was cut otherwise" in reason for reason in reasons)


def test_who_went_into_another_dispatch_by_an_edit_that_was_lost_is_held(own: System, tmp_path: Path) -> None:
    def halve(schedule: Any) -> None:
        people = recipients(COUNT)
        for n, person in enumerate(people):
            person["variables"]["mark"] = f"mark-{n}"
        people = sorted(people, key=lambda person: person["address"])[COUNT // 2 :]
        edit_schedule.edit(own.db, schedule, {"recipients": people}, seen_version=1)

    schedule = put_back_after_a_run(own, tmp_path / "copy", lost=halve, MAILROOM_BATCH_SIZE="25")
    went_out = marks(own)

    own.start_senders(1, MAILROOM_BATCH_SIZE="25", **QUICK)

    wait_for(lambda: decided(own, schedule), within_s=60, what="the run is there again")
    assert marks(own) == went_out
    assert set(went_out.values()) == {1}
    assert dispatch_states(own) == {"unknown": 2}


def test_a_doubt_that_was_held_back_by_a_limit_first_is_not_sent_again(
    own: System, tmp_path: Path, sendgrid: SendGrid
) -> None:
    sendgrid.lose_answers = 1
    own.environment |= {"MAILROOM_PROVIDERS": "sendgrid", **sendgrid.settings, **QUICK}
    own.start_api(webhooks=False)
    (sender,) = own.start_senders(1)
    wait_for(lambda: is_remembered(own), within_s=20, what="Redis remembers further back than the copy")
    email = hand_in(own, subject="The one", send_at=(datetime.now(UTC) + timedelta(seconds=10)).isoformat())
    since = datetime.now(UTC) + timedelta(seconds=2)
    wait_for(lambda: own.db.cluster.find_one({"_id": "mark", "at": {"$gt": since}}), within_s=20, what="a mark of now")
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: status(own, email) == "unknown", within_s=40, what="nobody can know")
    sender.stop(grace_s=20)
    put_mongodb_back(own.servers, tmp_path / "copy")
    put_right(own)
    own.call("PUT", "/v1/rate-limits/domain/example.org", json={"mails": 6, "per": "minute"}).raise_for_status()
    hand_in(own, subject="Before it in the line", priority="high")

    own.start_senders(1)

    wait_for(lambda: _was_held_back(own, email), within_s=20, what="it was held back before it was called")
    wait_for(lambda: status(own, email) == "unknown", within_s=40, what="nobody can know")
    assert sum("The one" in str(kept) for kept in sendgrid.kept) == 1


def _was_held_back(own: System, email: str) -> bool:
    doc = own.db.dispatches.find_one({"run_id": email}) or {"trail": []}
    return any("held back" in str(step.get("reason")) for step in doc["trail"])
