"""Password resets while a campaign of a million goes out, and while none does.

    python -m benchmarks.resets [--seconds 40] [--a-second 20] [--recipients 1000000] [--senders 2]

Mails of high priority are handed in at a steady pace through the API. A mail's time is from its request's beginning to
its receipt at the provider (the stub, which answers after 20 ms). The campaign runs all the while in its part.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from rich.console import Console

from benchmarks.stage import Stub, a_stub
from local.servers import Servers
from mailroom.domain.ids import ScheduleId
from mailroom.services.planning import asked_runs
from mailroom.services.schedules import create as create_schedule
from tests.support.builders import a_draft, recipients
from tests.support.emails import an_email
from tests.support.system import System, a_system, wait_for

console = Console(stderr=True)
_DELAY_MS = 20.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=40.0)
    arguments.add_argument("--a-second", type=float, default=20.0)
    arguments.add_argument("--recipients", type=int, default=1_000_000)
    arguments.add_argument("--senders", type=int, default=2)
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        a_stub(Path(folder), delay_ms=_DELAY_MS) as stub,
        Servers.start(Path(folder)) as servers,
        a_system(Path(folder), servers, database="resets", MAILGUN_BASE_URL=stub.url) as system,
    ):
        found = measure(system, stub, options)
    print(json.dumps(found, indent=1))
    return 0 if not found["with the campaign"]["missing"] and not found["without"]["missing"] else 1


def measure(system: System, stub: Stub, options: argparse.Namespace) -> dict[str, Any]:
    system.start_api(webhooks=False)
    with console.status("storing the list"):
        schedule = a_far_campaign(system, options.recipients)
    system.start_senders(options.senders)
    with console.status("resets alone"):
        without = resets(system, stub, options)
    asked_runs.run_now(system.db, schedule, owner="benchmark", key="campaign")
    wait_for(lambda: _campaign_calls(stub) > 0, within_s=60, what="the campaign goes out")
    before = _campaign_calls(stub)
    with console.status("resets beside the campaign"):
        beside = resets(system, stub, options)
    carried = (_campaign_calls(stub) - before) * system.settings.sending.batch_size
    still = system.db.runs.find_one({}, {"state": 1})
    return {
        "without": without,
        "with the campaign": beside | {"campaign mails meanwhile": carried, "campaign": still and still["state"]},
    }


def a_far_campaign(system: System, count: int) -> ScheduleId:
    """A stored schedule to so many, due in most of a year: it runs when it is asked to."""
    far = (datetime.now(UTC) + timedelta(days=300)).replace(microsecond=0, tzinfo=None)
    rule = {"kind": "once", "at": far, "time_zone": "UTC"}
    draft = a_draft(recipients=recipients(count), recurrence=rule)
    return create_schedule.create(system.db, draft, owner="benchmark")[0].schedule.id


def _campaign_calls(stub: Stub) -> int:
    return sum(1 for id_, _ in stub.receipts() if id_ and id_.startswith("sch_"))


def resets(system: System, stub: Stub, options: argparse.Namespace) -> dict[str, Any]:
    """Hand in resets for `options.seconds`, `options.a_second` of them, and see when they come."""
    asked: dict[str, float] = {}
    threads = []
    until = time.monotonic() + options.seconds
    due = time.monotonic()
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        threads.append(threading.Thread(target=_reset, args=(system, asked)))
        threads[-1].start()
        due += 1 / options.a_second
    for thread in threads:
        thread.join()
    time.sleep(3)
    came = {id_.rpartition("-d")[0]: at for id_, at in stub.receipts() if id_ and id_.startswith("em_")}
    spent = sorted((came[id_] - at) * 1000 for id_, at in asked.items() if id_ in came)
    return {
        "resets": len(asked),
        "missing": len(asked) - len(spent),
        "p50 ms": round(spent[len(spent) // 2]),
        "p99 ms": round(spent[int(len(spent) * 0.99)]),
        "most ms": round(spent[-1]),
    }


def _reset(system: System, asked: dict[str, float]) -> None:
    headers = {"Authorization": f"Bearer {system.token}"}
    began = time.time()
    answer = requests.post(f"{system.api_url}/v1/emails", json=an_email(priority="high"), headers=headers, timeout=30)
    asked[answer.json()["id"]] = began


if __name__ == "__main__":
    sys.exit(main())
