"""A list of a million rows from a CSV file, a segment of it, and a campaign to it with a loop over a feed, personal
values and a personal link to unsubscribe in header and bodies; beside a plain campaign to as many, in one sitting.

    python -m benchmarks.living [--rows 1000000] [--senders 1]

The provider is the simulator, for both campaigns. Each copy that went out is read back as its recipient reads it, and
held to what that row of the file must get. Exit 1 if one is wrong, missing or double, if a sender ever had 250 MB, or
if the campaign took more than 1.3 times the plain one.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from benchmarks.living.recount import Recount, recount
from benchmarks.living.rows import HTML, ITEMS, SEGMENT, SUBJECT, TEXT, Row, write
from local.servers import Servers
from mailroom.assembly.links import build_links
from mailroom.domain.ids import ScheduleId
from mailroom.services.planning import asked_runs
from mailroom.services.schedules import create as create_schedule
from tests.support.builders import a_draft, recipients
from tests.support.campaigns import finished
from tests.support.system import System, a_schedule_body, a_system, peak_memory_mb
from tests.support.topics import a_topic

console = Console(stderr=True)
_MOST_MB: Final = 250
_MOST_TIMES: Final = 1.3
_LOOK_S: Final = 0.1
_TOPIC: Final = "newsletter"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--senders", type=int, default=1)
    options = arguments.parse_args()
    wanted = sum(Row(number).in_segment for number in range(options.rows))
    with tempfile.TemporaryDirectory() as name, Servers.start(Path(name) / "servers") as servers:
        folder = Path(name)
        with a_system(folder / "plain", servers, database="plain") as system:
            plain = _plain(system, wanted, options.senders)
        with a_system(folder / "living", servers, database="living") as system:
            found, counted = _living(system, folder / "contacts.csv", options)
    times = round(found["planned_and_sent_s"] / plain["planned_and_sent_s"], 2)
    print(json.dumps({**found, "recount": asdict(counted), "plain": plain, "times_plain": times}, indent=1))
    right = counted.copies == found["sent"] == wanted and not counted.faults
    return 0 if right and times <= _MOST_TIMES and max(found["peak_memory_mb"]) < _MOST_MB else 1


def _plain(system: System, count: int, senders: int) -> dict[str, Any]:
    """As benchmarks.million: a list of its own, a merge field, no topic."""
    system.start_simulator()
    with console.status("storing the plain list"):
        draft = a_draft(recipients=recipients(count), recurrence=_once(_in_a_day()))
        schedule = create_schedule.create(system.db, draft, owner="benchmark")[0].schedule.id
        del draft
    return _sent(system, schedule, senders, "the plain campaign")


def _living(system: System, file: Path, options: argparse.Namespace) -> tuple[dict[str, Any], Recount]:
    system.start_simulator()
    system.start_api(webhooks=False)  # nor has the plain campaign any
    a_topic(system.db, _TOPIC)
    feed = f"{system.simulator.url}/simulator/feeds/coats"
    requests.post(feed, json=ITEMS, timeout=10).raise_for_status()
    audience = _made(system, "/v1/audiences", {"name": "Everybody"})
    write(file, options.rows)
    imported = _imported(system, audience, file, options.rows)
    filter_ = {"audience": audience, "filter": SEGMENT}
    estimate = system.call("POST", "/v1/segments/count", json=filter_).json()
    segment = _made(system, f"/v1/audiences/{audience}/segments", {"name": "Pro", "filter": SEGMENT})
    whole = a_schedule_body(
        segments=[segment],
        topic=_TOPIC,
        feed={"url": feed},
        subject=SUBJECT,
        text=TEXT,
        html=HTML,
        recurrence=_once(_in_a_day().isoformat()),
    )
    body = {name: value for name, value in whole.items() if name != "recipients"}
    schedule = ScheduleId(_made(system, "/v1/schedules", body))
    sent = _sent(system, schedule, options.senders, "the living campaign")
    return {"rows": options.rows, **imported, "segment": estimate, **sent}, _recounted(system, sent["sent"])


def _imported(system: System, audience: str, file: Path, rows: int) -> dict[str, float]:
    """By the command, in a process of its own: its pace, and the most memory that it ever had."""
    command = [sys.executable, "-m", "cli.main", "audiences", "add", audience, str(file)]
    with console.status(f"{rows:,} rows in"), (system.folder / "import.log").open("w") as log:
        began = time.monotonic()
        child, peak_mb = subprocess.Popen(command, env=system.environment, stdout=log, stderr=log), 0.0
        while child.poll() is None:
            with contextlib.suppress(OSError, AssertionError):  # it has just ended, and has no memory any more
                peak_mb = peak_memory_mb(child.pid)
            time.sleep(_LOOK_S)
        took_s = time.monotonic() - began
    if child.returncode:
        raise RuntimeError((system.folder / "import.log").read_text())
    return {"rows_a_second": round(rows / took_s), "import_s": round(took_s, 1), "import_peak_mb": round(peak_mb, 1)}


def _sent(system: System, schedule: ScheduleId, senders: int, what: str) -> dict[str, Any]:
    """Run it now, and wait until all of it went out."""
    started = system.start_senders(senders)
    asked_runs.run_now(system.db, schedule, owner="benchmark", key="k")
    with console.status(what):
        while not (run := finished(system, schedule)):
            time.sleep(0.5)
    took_s = (run.finished_at - run.created_at).total_seconds()
    record = system.simulator.record()
    return {
        "planned_and_sent_s": round(took_s, 1),
        "recipients_a_second": round(record["mails"] / took_s),
        "calls": record["calls"],
        "sent": record["mails"],
        "peak_memory_mb": [round(peak_memory_mb(sender.pid), 1) for sender in started],
    }


def _recounted(system: System, copies: int) -> Recount:
    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True) as shown:
        task = shown.add_task("recount", total=copies)
        links = build_links(system.settings.web)
        return recount(system.simulator, links, topic=_TOPIC, advance=lambda n: shown.advance(task, n))


def _made(system: System, path: str, body: Any) -> str:
    answer = system.call("POST", path, json=body, headers={"Idempotency-Key": path})
    if not answer.ok:
        raise RuntimeError(f"{path}: {answer.text}")
    return str(answer.json()["id"])


def _in_a_day() -> datetime:
    """It is run by hand before."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0, tzinfo=None)


def _once(at: datetime | str) -> dict[str, Any]:
    return {"kind": "once", "at": at, "time_zone": "UTC"}


if __name__ == "__main__":
    sys.exit(main())
