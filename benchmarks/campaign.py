"""20,000 recipients every minute for five minutes, three senders: counted by the simulator, recounted from raw events.

    python -m benchmarks.campaign [--runs 5] [--recipients 20000] [--senders 3]

The schedule is real (`every` 60 seconds, at most five runs); the count is the simulator's own record.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.servers import Servers
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.reports import Report
from mailroom.domain.runs import Run
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from tests.support.system import System, a_schedule_body, a_system, peak_memory_mb, wait_for

console = Console(stderr=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--recipients", type=int, default=20_000)
    arguments.add_argument("--senders", type=int, default=3)
    arguments.add_argument("--seconds", type=int, default=60, help="between runs")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, Servers.start(Path(folder)) as servers:
        with a_system(Path(folder), servers, database="campaign") as system:
            found = measure(system, options)
    _show(found)
    print(json.dumps(found, indent=1))
    return 0 if found["doubled"] == found["missing"] == 0 and found["reports_equal_recount"] else 1


def measure(system: System, options: argparse.Namespace) -> dict[str, object]:
    system.start_simulator()
    system.start_api()
    senders = system.start_senders(options.senders)
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
    schedule = _make_schedule(system, options, start)
    wanted = options.runs * options.recipients
    with console.status("waiting for the runs") as status:
        deadline = time.monotonic() + options.runs * options.seconds + 240
        while time.monotonic() < deadline:
            record = system.simulator.record()
            status.update(f"{record['mails']:,} of {wanted:,} mails, {record['webhooks_waiting']:,} webhooks waiting")
            if record["mails"] >= wanted and record["webhooks_waiting"] == 0:
                break
            time.sleep(1)
    runs = wait_for(lambda: _finished(system, schedule, options.runs), within_s=60, what="every run finished")
    return {
        "recipients_a_run": options.recipients,
        "runs": len(runs),
        "senders": options.senders,
        **_counted(system, options),
        "run_seconds": [round((run.finished_at - run.due_at).total_seconds(), 2) for run in runs if run.finished_at],
        "sender_vm_hwm_mb": [round(peak_memory_mb(sender.pid), 1) for sender in senders],
        "report": _as_dict(report_counts.schedule_report(system.db, schedule).total),
        "reports_equal_recount": all(_equal(system, run.id) for run in runs),
    }


def _make_schedule(system: System, options: argparse.Namespace, start: datetime) -> ScheduleId:
    recipients = [
        {"address": f"reader-{number}@example.org", "name": f"Reader {number}", "variables": {"mark": f"m{number}"}}
        for number in range(options.recipients)
    ]
    body = a_schedule_body(
        subject="{{ mark }}",
        text="Hello {{ name }}, your mark is {{ mark }}",
        html="<p>Hello {{ name }}, your mark is {{ mark }}</p>",
        recipients=recipients,
        recurrence={
            "kind": "every",
            "seconds": options.seconds,
            "time_zone": "UTC",
            "starts_at": start.isoformat(),
            "max_runs": options.runs,
        },
    )
    answer = system.call("POST", "/v1/schedules", json=body)
    assert answer.status_code == 201, answer.text
    return ScheduleId(answer.json()["id"])


def _finished(system: System, schedule: ScheduleId, count: int) -> list[Run] | None:
    runs = run_views.page(system.db, schedule_id=schedule, before=None, limit=50)
    return runs if len(runs) == count and all(run.state == "finished" for run in runs) else None


def _counted(system: System, options: argparse.Namespace) -> dict[str, object]:
    """By the simulator's record alone: each mark once a run, and how many calls a run took."""
    copies: Counter[tuple[str, str]] = Counter()
    for mail in system.simulator.mails():
        copies[json.loads(mail["user_variables"])["run"], mail["subject"]] += 1
    calls = Counter(json.loads(call["variables"])["run"] for call in system.simulator.calls())
    return {
        "mails": sum(copies.values()),
        "doubled": sum(count - 1 for count in copies.values()),
        "missing": options.runs * options.recipients - len(copies),
        "most_calls_a_run": max(calls.values(), default=0),
    }


def _equal(system: System, run: RunId) -> bool:
    """The report against a recount of the raw events."""
    reported, recounted = report_counts.audit(system.db, run)
    return reported == recounted


def _as_dict(report: Report) -> dict[str, int]:
    return {field.name: getattr(report, field.name) for field in fields(Report)}


def _show(found: dict[str, object]) -> None:
    table = Table("what", "seen")
    for name, value in found.items():
        table.add_row(name, str(value))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
