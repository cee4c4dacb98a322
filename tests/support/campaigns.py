"""Campaigns as tests see them from outside: made, waited for, and counted by marks of the test's own."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from local.children import Child
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import Run
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import create as create_schedule
from tests.support.builders import a_draft, recipients
from tests.support.system import System, wait_for


def soon(seconds: float = 2) -> dict[str, Any]:
    """A recurrence that is due once, in a moment."""
    at = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0, tzinfo=None)
    return {"kind": "once", "at": at, "time_zone": "UTC"}


def a_campaign(system: System, count: int, **changes: Any) -> ScheduleId:
    """A schedule that is due in a moment, each mail carrying a mark of this test's own."""
    people = recipients(count)
    for number, person in enumerate(people):
        person["variables"]["mark"] = f"mark-{number}"

    def create() -> ScheduleId:
        draft = a_draft(**{"recipients": people, "subject": "{{ mark }}", "recurrence": soon()} | changes)
        return create_schedule.create(system.db, draft, owner="tests")[0].schedule.id

    try:
        return create()
    except InvalidInput:  # on a machine that paused, the moment was over before the schedule was checked
        return create()


def marks(system: System) -> Counter[str]:
    """By the simulator's record alone: how often each mark really went out."""
    return Counter(mail["subject"] for mail in system.simulator.mails())


def only_run(system: System, schedule: ScheduleId) -> Run | None:
    found = run_views.page(system.db, schedule_id=schedule, before=None, limit=2)
    return found[0] if found else None


def finished(system: System, schedule: ScheduleId) -> Run | None:
    run = only_run(system, schedule)
    return run if run and run.state == "finished" else None


def dispatch_states(system: System) -> Counter[str]:
    return Counter(doc["state"] for doc in system.db.dispatches.find({}, {"state": 1}))


def counts(system: System, run_id: RunId) -> Mapping[str, int]:
    report = report_counts.run_report(system.db, run_id)[1]
    return {name: getattr(report, name) for name in ("recipients", "sent", "in_doubt", "failed", "queued")}


def the_holder_name(system: System) -> str | None:
    lane = system.db.lanes.find_one({"_id": {"$regex": "^schedule/"}}, sort=[("taken_at", -1)])
    return lane["sender"] if lane else None


def holder_name(child: Child) -> str:
    started = next(line for line in child.log.read_text().splitlines() if "sender_started" in line)
    return str(json.loads(started)["sender_id"])


def the_holder(system: System, senders: list[Child]) -> Child:
    name = the_holder_name(system)
    return next(sender for sender in senders if holder_name(sender) == name)


def assert_nothing_is_lost(system: System, schedule: ScheduleId, count: int) -> None:
    """Every recipient is sent or shown as in doubt; what is shown as sent really went out."""
    run = only_run(system, schedule)
    assert run is not None

    def addresses(**query: Any) -> set[str]:
        return {m["address"] for m in system.db.messages.find({"run_id": run.id, **query}, {"address": 1})}

    # Mails are told a moment after their dispatch was doubted.
    wait_for(
        lambda: len(addresses(sent_at={"$exists": True}) | addresses(state="in_doubt")) == count,
        within_s=10,
        what="each mail is sent or in doubt",
    )
    doubted, sent = addresses(state="in_doubt"), addresses(sent_at={"$exists": True})
    went_out = {mail["recipient"] for mail in system.simulator.mails()}
    assert sent <= went_out <= sent | doubted
