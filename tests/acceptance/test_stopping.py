"""All sending stopped under real senders: nothing goes out, whatever is put back; then all goes, once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.servers import Servers
from tests.support.backups import doctor, put_mongodb_aside, put_mongodb_back, put_right
from tests.support.campaigns import a_campaign, finished, marks, only_run
from tests.support.emails import hand_in, shown, status
from tests.support.system import System, a_system, wait_for


def switch(system: System) -> dict[str, Any]:
    return dict(system.call("GET", "/v1/sending").json())


def looks(system: System) -> int:
    """How often senders have looked at what is stopped: with every mark that they raise."""
    doc = system.db.cluster.find_one({"_id": "mark"})
    return int(doc["number"]) if doc else 0


def sending(system: System, what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", "sending", what]
    return subprocess.run(command, env=system.environment, capture_output=True, text=True, timeout=60, check=False)


def test_once_stopped_nothing_goes_until_it_is_started_and_then_all_goes_once(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.2)
    system.start_api()
    system.start_senders(2, MAILROOM_SENDER_CONCURRENCY="2", MAILROOM_BATCH_SIZE="20")
    schedule = a_campaign(system, 600)
    wait_for(lambda: len(system.simulator.calls()) >= 4, within_s=60, what="some calls were made")

    stopped = system.call("POST", "/v1/sending/stop").json()
    wait_for(lambda: not switch(system)["in_flight"], within_s=30, what="what was begun is through")
    went_out = marks(system)
    system.start_senders(1)
    mail = hand_in(system, priority="high")
    seen = looks(system)
    wait_for(lambda: looks(system) >= seen + 6, within_s=60, what="all three senders have looked twice")
    still = marks(system)
    said = shown(system, mail)
    system.call("POST", "/v1/sending/start").raise_for_status()

    assert (stopped["sending"], stopped["in_flight_is_sure"]) == (False, True)
    assert len(stopped["in_flight"]) <= 2 * (2 + 1 + 1)  # calls of two senders, fenced ahead, and urgent
    assert still == went_out
    assert 0 < len(went_out) < 600
    assert (said["status"], said["waits_because"][:23]) == ("queued", "All sending was stopped")
    wait_for(lambda: finished(system, schedule), within_s=90, what="the run is finished")
    wait_for(lambda: status(system, mail) == "delivered", within_s=30, what="the mail is there")
    assert {mark: n for mark, n in marks(system).items() if mark.startswith("mark-")} == {
        f"mark-{n}": 1 for n in range(600)
    }


def test_a_paused_schedule_sends_nothing_more_and_goes_on_when_it_is_resumed(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.2)
    system.start_api()
    system.start_senders(2, MAILROOM_SENDER_CONCURRENCY="2", MAILROOM_BATCH_SIZE="20")
    schedule = a_campaign(system, 600)
    wait_for(lambda: len(system.simulator.calls()) >= 4, within_s=60, what="some calls were made")

    paused = system.call("POST", f"/v1/schedules/{schedule}/pause").json()
    mail = hand_in(system)
    wait_for(lambda: status(system, mail) == "delivered", within_s=30, what="a mail of another lane goes out")
    run = only_run(system, schedule)
    assert run
    wait_for(lambda: settled(system), within_s=30, what="what was begun is through")
    went_out = len(system.simulator.mails()) - 1
    resumed = system.call("POST", f"/v1/runs/{run.id}/resume")

    told = paused["mails"]
    assert told["sent"] + told["held"] + told["mails_in_flight"] == 600
    assert told["sent"] <= went_out <= told["sent"] + told["mails_in_flight"] < 600
    assert resumed.status_code == 200
    wait_for(lambda: finished(system, schedule), within_s=90, what="the run is finished")
    assert {mark: n for mark, n in marks(system).items() if mark.startswith("mark-")} == {
        f"mark-{n}": 1 for n in range(600)
    }


def settled(system: System) -> bool:
    return system.db.dispatches.count_documents({"state": {"$in": ["sending", "in_doubt"]}}) == 0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[System]:
    """A system on servers of its own, which a test may kill and put back."""
    with (
        Servers.start(tmp_path / "servers") as servers,
        a_system(tmp_path / "system", servers, database="own") as made,
    ):
        made.start_simulator()
        yield made


def test_a_mongodb_put_back_to_a_copy_from_before_the_stop_sends_nothing_until_it_is_started(
    own: System, tmp_path: Path
) -> None:
    own.start_senders(1)
    wait_for(lambda: looks(own) >= 2, within_s=30, what="the sender has begun")
    put_mongodb_aside(own.servers, tmp_path / "copy")
    stopped = sending(own, "stop")
    put_mongodb_back(own.servers, tmp_path / "copy")
    wait_for(lambda: "mongodb_was_restored" in own.children[-1].tail(500), within_s=60, what="the sender holds")

    said = put_right(own)
    again = a_campaign(own, 50)
    seen = looks(own)
    wait_for(lambda: looks(own) >= seen + 3, within_s=60, what="the sender has looked again")
    sender_sent, now, unwell = own.simulator.mails(), sending(own, "status"), doctor(own)
    started = sending(own, "start")

    assert stopped.returncode == 0
    assert "It stays stopped until" in said
    assert (sender_sent, now.returncode) == ([], 1)
    assert "All sending was stopped by cli:" in now.stdout
    assert unwell.returncode == 1
    assert "mailroom sending start" in " ".join(unwell.stdout.split())
    assert started.stdout == "Sending is on.\n"
    wait_for(lambda: finished(own, again), within_s=60, what="the run is finished")
    assert marks(own) == {f"mark-{n}": 1 for n in range(50)}
