"""Mailgun's signed events, taken in beside a bare Flask route that verifies them and inserts one document.

    python -m benchmarks.webhooks [--mails 100000] [--events 3000] [--rounds 5] [--connections 64]

Both are one gunicorn process of threads, as `mailroom webhooks-in` is, on the same real MongoDB; they are asked in
turn, so that what disturbs the machine disturbs both. Each event is the first open of another stored mail. Exit 1 if
an event was not applied exactly once.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.asking import takes_posts
from benchmarks.growth import webhooks
from benchmarks.growth.store import Store
from benchmarks.quiet import wait_until_quiet
from benchmarks.stage import a_stub, cpu_of_all, cpu_s
from local.children import Child
from local.ports import free_port
from local.servers import Servers
from tests.support.system import System, a_system

console = Console(stderr=True)
BARE, MAILROOM = "a bare route", "webhooks in"
_KIND: Final = "opened"


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a round: events a second, the time of each, microseconds of processor an event in the process that
    takes them in and in the stores, and the events that were not applied exactly once."""

    rate: float
    latencies_ms: Sequence[float]
    intake_us: float
    stores_us: float
    not_once: int


@dataclass(frozen=True, slots=True)
class Side:
    """A process that takes events in."""

    process: Child
    port: int
    path: str


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--mails", type=int, default=100_000)
    arguments.add_argument("--events", type=int, default=3_000, help="of a round")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--connections", type=int, default=64)
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        a_stub(Path(folder)) as stub,
        Servers.start(Path(folder)) as servers,
        a_system(Path(folder), servers, database="webhooks", MAILGUN_BASE_URL=stub.url) as system,
    ):
        found = measure(system, options)
    show(found)
    print(json.dumps(found, indent=1))
    return 0 if found[MAILROOM]["not once"] == 0 else 1


def measure(system: System, options: argparse.Namespace) -> dict[str, Any]:
    system.start_api(webhooks=False)
    intake = system.start_webhooks_in()
    (sender,) = system.start_senders(1)
    store = Store(system)
    sender.stop(grace_s=20)
    store.fill(options.mails)
    port = free_port()
    bare = system.start("bare", "benchmarks.bare_route", MAILROOM_API_PORT=str(port))
    bare.wait_until(lambda: takes_posts(port, "/bare"), timeout_s=30)
    sides = {
        BARE: Side(bare, port, "/bare-webhook"),
        MAILROOM: Side(intake, system.webhooks_port, "/webhooks/mailgun"),
    }
    taken: dict[str, list[Taken]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name in list(sides) if number % 2 else list(sides)[::-1]:
            wait_until_quiet(console)
            one = _round(system, store, sides[name], options)
            console.log(f"round {number}, {name}: {one.rate:,.0f} a second")
            if number:  # the first warms up, and is not counted
                taken[name].append(one)
    return {name: _summary(rounds, taken[BARE]) for name, rounds in taken.items()}


def _round(system: System, store: Store, side: Side, options: argparse.Namespace) -> Taken:
    mails = store.campaign_mails(options.events)
    events = [webhooks.event(mail, _KIND, store.new_event_id()) for mail in mails]
    stores, ids = system.servers.children(), [mail.message for mail in mails]
    before = webhooks.applied(system, ids, _KIND)
    intake_s, stores_s = cpu_s(side.process.pid), cpu_of_all(stores)
    spent, took_s = webhooks.posted(side.port, events, path=side.path, connections=options.connections)
    intake_s, stores_s = cpu_s(side.process.pid) - intake_s, cpu_of_all(stores) - stores_s
    times = [count - before[id_] for id_, count in webhooks.applied(system, ids, _KIND).items()]
    wanted = 0 if side.path == "/bare-webhook" else 1
    return Taken(
        len(events) / took_s,
        spent,
        intake_s / len(events) * 1e6,
        stores_s / len(events) * 1e6,
        sum(count != wanted for count in times),
    )


def _summary(rounds: Sequence[Taken], bare: Sequence[Taken]) -> dict[str, Any]:
    rates = [one.rate for one in rounds]
    spent = sorted(ms for one in rounds for ms in one.latencies_ms)
    median = statistics.median(rates)
    return {
        "a second": round(median),
        "least": round(min(rates)),
        "most": round(max(rates)),
        "times the bare route": round(median / statistics.median(one.rate for one in bare), 3),
        "us of the process": round(statistics.median(one.intake_us for one in rounds)),
        "us of the stores": round(statistics.median(one.stores_us for one in rounds)),
        "p50 ms": round(spent[len(spent) // 2], 1),
        "p99 ms": round(spent[int(len(spent) * 0.99)], 1),
        "not once": sum(one.not_once for one in rounds),
    }


def show(found: dict[str, Any]) -> None:
    columns = list(found[BARE])
    table = Table("who", *columns)
    for name, row in found.items():
        table.add_row(name, *(str(row[column]) for column in columns))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
