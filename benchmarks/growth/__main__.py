"""What a mail, a due instant, a page and a webhook cost against 10^4, 10^5, 10^6 (and 10^7) stored mails, in a sitting.

    python -m benchmarks.growth [--least 10000] [--most 1000000] [--mails 3000] [--due 200] [--events 1000]

The store is filled step by step; store.py says what a stored mail consists of. Each size is measured for: mails that
one sender sends to the stub, one mail a call; schedules due in the same second; signed webhooks about mails just sent,
and about mails from all over the store. Each figure is the median of three rounds. A round of mails or schedules is
repeated if other processes disturbed it. Then pages and API lists are timed, and MongoDB's keys and documents are
counted. At the end the smallest size is measured again in a new database. That, and a fixed piece of work at each
size, shows how much of a difference is the machine's. Writes growth.md, growth.json and growth.svg. Exit 1 if a mail
went out twice, or an event was not applied exactly once.
"""

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.growth import mails, pages, plots, questions, report, webhooks
from benchmarks.growth.store import Store, console
from benchmarks.growth.webhooks import Mail, Taken, Taker
from benchmarks.quiet import Others
from benchmarks.stage import Stub, a_stub, cpu_s
from local.children import Child
from local.servers import Servers
from mailroom.services.operations import ledger
from mailroom.storage.database import server_now
from tests.support.system import System, a_system

_DOCS: Final = Path("docs/figures")
_ROUNDS: Final = 3
FAULTS: Final = ("doubled", "not_once")
Measured = dict[str, Any]
_REST_TRIES: Final = 90  # seconds, one a try
_IDLE_CORES: Final = 0.05
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
    arguments.add_argument("--events", type=int, default=1_000)
    arguments.add_argument("--asked", type=int, default=15, help="times that each page is asked for")
    arguments.add_argument("--tries", type=int, default=2, help="of a round that others disturbed")
    arguments.add_argument("--folder", type=Path, default=None, help="where the data lies meanwhile")
    arguments.add_argument("--into", type=Path, default=_DOCS)
    options = arguments.parse_args()
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name, a_stub(Path(name)) as stub:
        with Servers.start(Path(name) / "servers") as servers:
            for stored, measured in measure(Path(name), servers, stub, options):
                found[stored] = measured
                _write(found, options.into)
    print(json.dumps({"faults": _faults(found), "pages that grow": report.grown_pages(found)}, indent=1))
    return 1 if _faults(found) else 0


def _write(found: Mapping[str, Measured], folder: Path) -> None:
    """After each size: the largest one takes long."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "growth.json").write_text(json.dumps(found, indent=1) + "\n")
    command = " ".join(["python -m benchmarks.growth", *sys.argv[1:]])
    (folder / "growth.md").write_text(report.as_markdown(found, when=f"{datetime.now(UTC):%Y-%m-%d}", command=command))
    plots.plot(found, folder / "growth.svg")


def measure(folder: Path, servers: Servers, stub: Stub, options: argparse.Namespace) -> Iterator[tuple[str, Measured]]:
    """By words for what is stored: each size, and the smallest one again, after the rest was dropped."""
    sizes = report.sizes(options.least, options.most)
    yield from _in_one_database(folder / "growth", servers, stub, sizes, options)
    for _, again in _in_one_database(folder / "again", servers, stub, sizes[:1], options):
        yield report.AGAIN, again


def _in_one_database(
    folder: Path, servers: Servers, stub: Stub, sizes: Sequence[int], options: argparse.Namespace
) -> Iterator[tuple[str, Measured]]:
    settings = {"MAILGUN_BASE_URL": stub.url, **_SETTINGS}
    with a_system(folder, servers, database=folder.name, **settings) as system:
        system.start_api(webhooks=False)
        system.start_web()
        intake = system.start_webhooks_in()
        (sender,) = system.start_senders(1)
        store = Store(system)
        sender.stop(grace_s=20)
        for size in sizes:
            filled_s = store.fill(size)
            console.log(f"{size:,} mails stored in {filled_s:.0f} s: {store.sizes()}")
            _let_rest(system)
            others = Others()
            found = _at_this_size(system, stub, store, intake, options)
            found |= {"stored": store.sizes(), "filled_s": round(filled_s), "others_cores": round(others.cores(), 2)}
            console.log(f"{size:,} mails measured", report.in_short(found))
            yield f"{size:,}", found


def _at_this_size(system: System, stub: Stub, store: Store, intake: Child, options: argparse.Namespace) -> Measured:
    def of_mails() -> Measured:
        return mails.mails(system, stub, options.mails, tries=options.tries)

    def of_due() -> Measured:
        return mails.due_instant(system, stub, options.due, tries=options.tries)

    of_mails()  # warms up
    rounds = _median_of(_ROUNDS, of_mails, "sender_us", "stores_us")
    due = _median_of(_ROUNDS, of_due, "sender_us", "stores_us")
    new = _just_sent(system, _ROUNDS * options.events)
    some = (new[start : start + options.events] for start in range(0, len(new), options.events))

    taker = Taker(intake, system.webhooks_port)

    def events_of_new() -> Measured:
        return _figures(webhooks.measure(system, taker, next(some), "delivered", new_id=store.new_event_id))

    def events_of_any() -> Measured:
        mails_ = store.campaign_mails(options.events)
        return _figures(webhooks.measure(system, taker, mails_, "opened", new_id=store.new_event_id))

    events_of_any()  # warms up
    return {
        "control": {"ms": control_ms()},
        "mail": rounds,
        "due": due,
        "webhook of new mails": _median_of(_ROUNDS, events_of_new, "intake_us", "stores_us"),
        "webhook of any mail": _median_of(_ROUNDS, events_of_any, "intake_us", "stores_us"),
        "pages": pages.measure(system, store, options.asked),
        "ledger": {"seconds": _ledger_s(system)},
        "questions": questions.measure(system.db, store),
    }


def _median_of(rounds: int, once: Callable[[], Measured], *costs: str) -> Measured:
    """The round of the median cost, with the faults of all rounds."""
    found = sorted((once() for _ in range(rounds)), key=lambda each: sum(each[cost] for cost in costs))
    faults = {name: sum(each[name] for each in found) for name in FAULTS if name in found[0]}
    return found[len(found) // 2] | faults


def control_ms() -> float:
    """The processor time of a fixed piece of work, whatever is stored: how fast the machine is now."""

    def once() -> float:
        began = time.process_time()
        for number in range(150_000):
            hashlib.sha256(json.dumps({"number": number}).encode()).hexdigest()
        return (time.process_time() - began) * 1000

    return round(min(once() for _ in range(3)))


def _let_rest(system: System) -> None:
    """Let mongod write down what was filled in, within reason."""
    mongod = next(child for child in system.servers.children() if child.name == "mongod")
    for _ in range(_REST_TRIES):
        before = cpu_s(mongod.pid)
        time.sleep(1)
        if cpu_s(mongod.pid) - before < _IDLE_CORES:
            return
    console.log("mongod does not come to rest")


def _figures(taken: Taken) -> Measured:
    return {
        "intake_us": round(taken.intake_us),
        "stores_us": round(taken.stores_us),
        "a_second": round(taken.rate),
        "p50_ms": round(statistics.median(taken.latencies_ms), 1),
        "not_once": taken.not_once,
    }


def _just_sent(system: System, count: int) -> list[Mail]:
    """Mails of the newest runs of many. Raises ValueError if there are not so many."""
    many = {"recipients": {"$gt": count // (_ROUNDS + 1)}}
    newest = system.db.runs.find(many, {"_id": 1}).sort("due_at", -1).limit(_ROUNDS + 1)
    runs = [doc["_id"] for doc in newest]
    fields = {"run_id": 1, "dispatch_id": 1, "address": 1}
    docs = list(system.db.messages.find({"run_id": {"$in": runs}}, fields).limit(count))
    if len(docs) < count:
        raise ValueError(f"{len(docs):,} mails were just sent, and --events asks for {count:,}: raise --mails")
    return [Mail(doc["run_id"], doc["dispatch_id"], doc["_id"], doc["address"]) for doc in docs]


def _ledger_s(system: System) -> float:
    """How long the hourly ledger takes for all schedules; what was sent lately is left out."""
    began = time.monotonic()
    ledger.check(system.db, since=server_now(system.db))
    return round(time.monotonic() - began, 2)


def _faults(found: Mapping[str, Measured]) -> list[str]:
    return [
        f"{stored} stored, {group}: {each[group][kind]} {kind}"
        for stored, each in found.items()
        for group in ("mail", "due", "webhook of new mails", "webhook of any mail")
        for kind in FAULTS
        if each[group].get(kind)
    ]


if __name__ == "__main__":
    sys.exit(main())
