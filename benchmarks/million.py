"""A campaign of a million recipients: planned and called in batches by one sender; its peak memory, and its pace.

    python -m benchmarks.million [--recipients 1000000] [--senders 1]

The provider is the stub (see stub.py). Storing the list is shown, but belongs to whoever asks, not to the sender.
"""

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.stage import Stub, a_stub
from local.servers import Servers
from mailroom.services.schedules import create as create_schedule
from tests.support.builders import a_draft, recipients
from tests.support.campaigns import finished
from tests.support.system import System, a_system, peak_memory_mb

console = Console(stderr=True)
_MOST_MB = 250
_AHEAD_S = 60  # the list must be checked and stored before it is due


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--recipients", type=int, default=1_000_000)
    arguments.add_argument("--senders", type=int, default=1)
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        a_stub(Path(folder)) as stub,
        Servers.start(Path(folder)) as servers,
        a_system(Path(folder), servers, database="million", MAILGUN_BASE_URL=stub.url) as system,
    ):
        found = measure(system, stub, options)
    print(json.dumps(found, indent=1))
    well = found["doubled_calls"] == 0 and max(found["peak_memory_mb"]) < _MOST_MB
    return 0 if well and found["sent"] == options.recipients else 1


def measure(system: System, stub: Stub, options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    with console.status("storing the list"):
        people = recipients(options.recipients)
        soon = (datetime.now(UTC) + timedelta(seconds=_AHEAD_S)).replace(microsecond=0, tzinfo=None)
        rule = {"kind": "once", "at": soon, "time_zone": "UTC"}
        misfire = {"policy": "run_all", "grace_s": 3_600}
        draft = a_draft(recipients=people, recurrence=rule, misfire=misfire)
        schedule = create_schedule.create(system.db, draft, owner="benchmark")[0].schedule
        del draft, people
    stored_s = time.monotonic() - began
    senders = system.start_senders(options.senders)
    with console.status("sending"):
        while not (run := finished(system, schedule.id)):
            time.sleep(0.5)
    took_s = (run.finished_at - run.created_at).total_seconds()
    count = stub.count()
    return {
        "recipients": options.recipients,
        "senders": options.senders,
        "list_stored_s": round(stored_s, 1),
        "planned_and_sent_s": round(took_s, 1),
        "recipients_a_second": round(options.recipients / took_s),
        "calls": count.calls,
        "doubled_calls": count.calls - count.distinct,
        "sent": system.db.messages.count_documents({"sent_at": {"$exists": True}}),
        "peak_memory_mb": [round(peak_memory_mb(sender.pid), 1) for sender in senders],
    }


if __name__ == "__main__":
    sys.exit(main())
