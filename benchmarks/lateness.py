"""1,000 schedules due in the same second among 100,000 stored: how late each mail is, from due instant to receipt.

    python -m benchmarks.lateness [--due 1000] [--stored 100000] [--senders 3]

The receipt is the stub's own time (see stub.py): a provider that costs next to nothing. The schedules that are not due
are written straight into the store (100,000 API calls would measure the API); those that are due go through the same
service as the API's.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.stage import Stub, a_stub
from local.servers import Servers
from mailroom.domain.drafts import Draft
from mailroom.domain.ids import ScheduleId
from mailroom.services.schedules import create as create_schedule
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.schedules import schedule_document
from tests.support.system import DOMAIN, System, a_system

console = Console(stderr=True)
_AHEAD_S = 12


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--due", type=int, default=1_000)
    arguments.add_argument("--stored", type=int, default=100_000)
    arguments.add_argument("--senders", type=int, default=3)
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        a_stub(Path(folder)) as stub,
        Servers.start(Path(folder)) as servers,
        a_system(Path(folder), servers, database="lateness", MAILGUN_BASE_URL=stub.url) as system,
    ):
        found = measure(system, stub, options)
    print(json.dumps(found, indent=1))
    return 0 if found["mails"] == options.due and found["doubled"] == 0 else 1


def measure(system: System, stub: Stub, options: argparse.Namespace) -> dict[str, object]:
    far = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    template, _ = create_schedule.create(system.db, _draft(0, far), owner="benchmark")
    _fill(system, template, options.stored - options.due)
    due_at = make_due(system, options.due)
    senders = system.start_senders(options.senders, MAILROOM_SENDER_CONCURRENCY="64")
    before = [_cpu_s(sender.pid) for sender in senders]
    idle_from = time.monotonic()
    time.sleep(max(0.0, (due_at - datetime.now(UTC)).total_seconds() - 5))
    idle_s = time.monotonic() - idle_from
    idle = [100 * (_cpu_s(sender.pid) - cpu) / idle_s for sender, cpu in zip(senders, before, strict=True)]
    deadline = time.monotonic() + 60
    while stub.count().calls < options.due and time.monotonic() < deadline:
        time.sleep(0.5)
    receipts = stub.receipts()
    late = sorted(at - due_at.timestamp() for _, at in receipts)
    return {
        "stored": options.stored,
        "due": options.due,
        "senders": options.senders,
        "mails": len(receipts),
        "doubled": len(receipts) - len({dispatch for dispatch, _ in receipts}),
        "late_p50_s": round(statistics.median(late), 3),
        "late_p99_s": round(late[int(len(late) * 0.99)], 3),
        "late_max_s": round(late[-1], 3),
        "stages_s": _stages(system, due_at),
        "idle_cpu_percent_of_a_core": [round(percent, 2) for percent in idle],
        "lanes_by_sender": _lanes(system),
    }


def _draft(number: int, at: datetime) -> Draft:
    return Draft(
        name=f"Schedule {number}",
        sender=f"Ann <ann@{DOMAIN}>",
        subject="Hello {{ name }}",
        text="Hello {{ name }}",
        recurrence={"kind": "once", "at": at.replace(tzinfo=None), "time_zone": "UTC"},
        recipients=[{"address": f"reader-{number}@example.org", "name": f"Reader {number}"}],
    )


def _fill(system: System, template: schedule_view.StoredSchedule, count: int) -> None:
    """Schedules that are not due, as the store's own documents."""
    for start in track(range(0, count, 5_000), "storing schedules", console=console):
        documents = [
            schedule_document.to_document(replace(template.schedule, id=ScheduleId(f"sch_fill{number:08d}")))
            for number in range(start, min(start + 5_000, count))
        ]
        system.db.schedules.insert_many(documents, ordered=False)


def make_due(system: System, due: int) -> datetime:
    """The schedules that are due together, all made before their instant comes."""
    due_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_AHEAD_S + due / 40)
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(
            lambda n: create_schedule.create(system.db, _draft(n + 1, due_at), owner="benchmark"), range(due)
        )
        for _ in track(made, "making schedules", total=due, console=console):
            pass
    assert datetime.now(UTC) < due_at - timedelta(seconds=_AHEAD_S / 2), "the machine is too slow for this"
    return due_at


def _cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


def _stages(system: System, due_at: datetime) -> dict[str, list[float]]:
    """When each stage was through for half, for 99 of 100 and for all of what was due, from the due instant on."""
    lanes = system.db.lanes.find({"_id": {"$regex": "^schedule/"}}, {"taken_at": 1})
    runs = list(system.db.runs.find({}, {"created_at": 1, "planned_at": 1}))
    calls = list(system.db.dispatches.find({}, {"claimed_at": 1, "accepted.at": 1}))
    stages = {
        "lane taken": [doc["taken_at"] for doc in lanes],
        "decided": [doc["created_at"] for doc in runs],
        "planned": [doc["planned_at"] for doc in runs],
        "claimed": [doc["claimed_at"] for doc in calls],
        "written down": [doc["accepted"][0]["at"] for doc in calls if "accepted" in doc],
    }
    return {name: _percentiles([(at - due_at).total_seconds() for at in times]) for name, times in stages.items()}


def _percentiles(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [round(ordered[min(int(len(ordered) * part), len(ordered) - 1)], 2) for part in (0.5, 0.99, 1.0)]


def _lanes(system: System) -> dict[str, int]:
    rows = system.db.lanes.aggregate([{"$group": {"_id": "$sender", "n": {"$sum": 1}}}])
    return {row["_id"]: row["n"] for row in rows}


if __name__ == "__main__":
    sys.exit(main())
