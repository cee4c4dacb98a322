"""A campaign in each recipient's own time, by real processes: several zones, senders killed while it is planned."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.backups import put_mongodb_aside, put_mongodb_back, put_right
from tests.support.builders import recipients
from tests.support.campaigns import a_campaign, dispatch_states, marks, soon, the_holder
from tests.support.system import System, a_schedule_body, wait_for

#: Hours east of UTC by the zone, none of which changes its clocks.
ZONES = {"Asia/Kolkata": 5.5, "Africa/Lagos": 1, "Africa/Abidjan": 0, "Atlantic/Cape_Verde": -1, "": 0}
EACH = 1_500


def people() -> list[dict[str, Any]]:
    return [
        {
            "address": f"r{n:05d}-{place}@example.org",
            "name": f"R {n}",
            "variables": {"city": "Rome"},
            **({"time_zone": zone} if zone else {}),
        }
        for place, zone in enumerate(ZONES)
        for n in range(EACH)
    ]


def sent_to(system: System) -> Counter[str]:
    """How many mails went to each zone; nobody has two."""
    mails = Counter(mail["recipient"] for mail in system.simulator.mails())
    assert not mails or max(mails.values()) == 1
    names = list(ZONES)
    return Counter(names[int(address.partition("@")[0].rpartition("-")[2])] for address in mails.elements())


@pytest.mark.timeout(300)
def test_each_zone_gets_it_at_its_own_time_once_whoever_is_killed(system: System) -> None:
    """The wall time is some seconds ahead in UTC: it was an hour ago in Lagos, and long ago in Kolkata."""
    system.start_simulator()
    system.start_api()
    at = (datetime.now(UTC) + timedelta(seconds=25)).replace(microsecond=0)
    rule = {"kind": "once", "at": at.replace(tzinfo=None).isoformat(), "time_zone": "UTC"}
    body = a_schedule_body(recurrence=rule, recipients=people(), delivery="recipient_time")
    answer = system.call("POST", "/v1/schedules", json=body)
    assert answer.status_code == 201, answer.text
    schedule = answer.json()["id"]
    senders = system.start_senders(2)

    # Its first slice is due: somebody holds the lane and plans. Whoever it is is killed in the middle of that.
    wait_for(lambda: system.db.messages.count_documents({}), within_s=30, what="planning has begun")
    the_holder(system, senders).kill()
    senders += system.start_senders(1)
    (run,) = wait_for(
        lambda: list(system.db.runs.find({"schedule_id": schedule, "state": "planned"})),
        within_s=60,
        what="the run is planned",
    )
    wait_for(lambda: sent_to(system)["Africa/Lagos"] == EACH, within_s=60, what="the slice that is late by less")
    early = [doc for doc in system.db.dispatches.find({"due_at": at}) if doc["state"] == "accepted"]
    assert not early or datetime.now(UTC) >= at

    wait_for(lambda: sent_to(system).total() == 3 * EACH, within_s=90, what="the slices until now have gone out")
    assert sent_to(system) == {"Africa/Lagos": EACH, "Africa/Abidjan": EACH, "": EACH}
    calls = list(system.db.dispatches.find({"due_at": at}))
    assert all(doc["accepted"][0]["at"] >= at for doc in calls)
    shown = system.call("GET", f"/v1/runs/{run['_id']}").json()
    assert (shown["status"], shown["recipients"]) == ("planned", len(ZONES) * EACH)
    assert [(one["mails"], one["open"]) for one in shown["slices"]] == [(EACH, 0), (2 * EACH, 0), (EACH, 2)]
    report = system.call("GET", f"/v1/runs/{run['_id']}/report").json()
    assert (report["sent"], report["queued"], report["time_passed"]) == (3 * EACH, EACH, EACH)

    # Cape Verde would get it in an hour: it is stopped.
    stopped = system.call("POST", f"/v1/runs/{run['_id']}/cancel").json()
    assert stopped["mails"]["cancelled"] == EACH
    assert system.db.messages.count_documents({"run_id": run["_id"]}) == len(ZONES) * EACH


@pytest.mark.timeout(300)
def test_after_a_restore_to_an_older_copy_each_zone_got_it_once(own: System, tmp_path: Path) -> None:
    """The copy knows of no run. What went out since is known by the fences, under the same names."""
    rows = recipients(300)
    for n, row in enumerate(rows):
        row["variables"]["mark"] = f"mark-{n}"
        row["time_zone"] = ["Africa/Abidjan", "Atlantic/Cape_Verde"][n % 2]
    settings = {"MAILROOM_BATCH_SIZE": "30"}
    (sender,) = own.start_senders(1, **settings)
    a_campaign(own, 1, recipients=rows, recurrence=soon(20), delivery="recipient_time")
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: dispatch_states(own) == {"accepted": 5, "pending": 5}, within_s=60, what="one slice is out")
    sender.stop(grace_s=20)
    before = {doc["_id"]: doc["span"] for doc in own.db.dispatches.find()}
    put_mongodb_back(own.servers, tmp_path / "copy")
    assert own.db.runs.count_documents({}) == 0
    put_right(own)

    own.start_senders(1, **settings)

    wait_for(lambda: dispatch_states(own) == {"accepted": 5, "pending": 5}, within_s=60, what="it is known again")
    assert {doc["_id"]: doc["span"] for doc in own.db.dispatches.find()} == before
    assert marks(own) == {f"mark-{n}": 1 for n in range(0, 300, 2)}
