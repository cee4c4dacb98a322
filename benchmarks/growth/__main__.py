"""What a mail, a due instant, a page and a webhook cost against 10^4, 10^5, 10^6 (and 10^7) stored mails, in a sitting.

    python -m benchmarks.growth [--least 10000] [--most 1000000] [--mails 3000] [--due 200] [--events 2000]

One system is filled more and more; what a stored mail is made of says store.py. At each size: mails from one sender to
the stub, one mail a call (a warm-up and three rounds, the median); schedules that are due in the same second (two
rounds, the better one); the main pages and lists of the API; signed webhooks about mails that were just sent, and about
mails from all over the store; and how many keys and documents MongoDB looks at. Writes docs/figures/growth.md,
growth.json and growth.svg. Exit 1 if a mail went out twice, or an event was not applied exactly once.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.growth import mails, pages, questions, report, webhooks
from benchmarks.growth.store import MAILS, Store, console
from benchmarks.growth.webhooks import Mail
from benchmarks.quiet import Others, wait_until_quiet
from benchmarks.stage import Stub, a_stub
from local.children import Child
from local.servers import Servers
from mailroom.services.operations import ledger
from mailroom.storage.database import server_now
from tests.support.system import System, a_system

_DOCS: Final = Path("docs/figures")
_ROUNDS: Final = 3
_DUE_ROUNDS: Final = 2
_SETTINGS: Final = {
    "MAILROOM_BATCH_SIZE": "1",
    "MAILROOM_SENDER_CONCURRENCY": "64",
    "MAILROOM_REPORTS_PER_MINUTE": "none",
    "MAILROOM_SIGN_INS_PER_MINUTE": "none",
}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--least", type=int, default=10_000)
    arguments.add_argument("--most", type=int, default=1_000_000)
    arguments.add_argument("--mails", type=int, default=3_000)
    arguments.add_argument("--due", type=int, default=200)
    arguments.add_argument("--events", type=int, default=2_000)
    arguments.add_argument("--asked", type=int, default=15, help="times that each page is asked for")
    arguments.add_argument("--folder", type=Path, default=None, help="where the data lies meanwhile")
    arguments.add_argument("--into", type=Path, default=_DOCS)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name, a_stub(Path(name)) as stub:
        folder = Path(name)
        with (
            Servers.start(folder / "servers") as servers,
            a_system(folder, servers, database="growth", MAILGUN_BASE_URL=stub.url, **_SETTINGS) as system,
        ):
            found = dict(measure(system, stub, options))
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "growth.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.into / "growth.md").write_text(report.as_markdown(found, when=f"{datetime.now(UTC):%Y-%m-%d}"))
    report.plot(found, options.into / "growth.svg")
    print(json.dumps({"faults": _faults(found), "pages that grow": report.grown_pages(found)}, indent=1))
    return 1 if _faults(found) else 0


def sizes(least: int, most: int) -> list[int]:
    """Each ten times the one before it; all in whole blocks."""
    found = [max(MAILS, least // MAILS * MAILS)]
    while found[-1] * 10 <= most:
        found.append(found[-1] * 10)
    return found


def measure(system: System, stub: Stub, options: argparse.Namespace) -> Iterator[tuple[int, dict[str, Any]]]:
    system.start_api(webhooks=False)
    system.start_web()
    intake = system.start_webhooks_in()
    (sender,) = system.start_senders(1)
    store = Store(system)
    sender.stop(grace_s=20)
    for size in sizes(options.least, options.most):
        filled_s = store.fill(size)
        console.log(f"{size:,} mails stored in {filled_s:.0f} s: {store.sizes()}")
        wait_until_quiet(console)
        others = Others()
        found = _at_this_size(system, stub, store, intake, options)
        console.log(f"{size:,} mails measured; others used {others.cores():.2f} cores", report.in_short(found))
        yield size, found | {"stored": store.sizes(), "filled_s": round(filled_s), "others_cores": others.cores()}


def _at_this_size(
    system: System, stub: Stub, store: Store, intake: Child, options: argparse.Namespace
) -> dict[str, Any]:
    rounds = [mails.mails(system, stub, options.mails) for _ in range(_ROUNDS + 1)][1:]
    due = [mails.due_instant(system, stub, options.due) for _ in range(_DUE_ROUNDS)]
    webhooks.measure(system, intake, store.campaign_mails(options.events // 4), "opened")  # warms up
    new = webhooks.measure(system, intake, _just_sent(system, options.events), "delivered")
    return {
        "mail": {
            "sender_us": round(statistics.median(each.cpu_us["worker"] for each in rounds)),
            "stores_us": round(statistics.median(each.cpu_us["stores"] for each in rounds)),
            "a_second": round(statistics.median(each.rate for each in rounds)),
            "doubled": sum(each.doubled for each in rounds),
        },
        "due": min(due, key=lambda each: each["sender_us"] + each["stores_us"])
        | {"doubled": sum(each["doubled"] for each in due)},
        "webhook of new mails": new,
        "webhook of any mail": webhooks.measure(system, intake, store.campaign_mails(options.events), "opened"),
        "pages": pages.measure(system, store, options.asked),
        "ledger": {"seconds": _ledger_s(system)},
        "questions": questions.measure(system.db, store),
    }


def _just_sent(system: System, count: int) -> list[Mail]:
    """Mails of the newest run of many."""
    (newest,) = system.db.runs.find({"recipients": {"$gte": count}}, {"_id": 1}).sort("due_at", -1).limit(1)
    fields = {"run_id": 1, "dispatch_id": 1, "address": 1}
    docs = system.db.messages.find({"run_id": newest["_id"]}, fields).limit(count)
    return [Mail(doc["run_id"], doc["dispatch_id"], doc["_id"], doc["address"]) for doc in docs]


def _ledger_s(system: System) -> float:
    """How long the hourly ledger takes for all schedules; what was sent lately is left out."""
    began = time.monotonic()
    ledger.check(system.db, since=server_now(system.db))
    return round(time.monotonic() - began, 2)


def _faults(found: dict[int, dict[str, Any]]) -> list[str]:
    kinds = (("mail", "doubled"), ("due", "doubled"), ("webhook of new mails", "not_once"))
    kinds += (("webhook of any mail", "not_once"),)
    return [
        f"{size:,} stored, {group}: {each[group][kind]} {kind}"
        for size, each in found.items()
        for group, kind in kinds
        if each[group][kind]
    ]


if __name__ == "__main__":
    sys.exit(main())
