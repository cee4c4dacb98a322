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
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.asking import takes_posts
from benchmarks.beside_bare import beside, show
from benchmarks.growth import webhooks
from benchmarks.growth.store import Store
from benchmarks.growth.webhooks import Taken, Taker
from benchmarks.quiet import wait_until_quiet
from benchmarks.stage import a_stub
from local.ports import free_port
from local.servers import Servers
from tests.support.system import System, a_system

console = Console(stderr=True)
BARE, MAILROOM = "a bare route", "webhooks in"
_KIND: Final = "opened"


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
    show(found, console)
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
    many = options.connections
    sides = {
        BARE: Taker(bare, port, "/bare-webhook", connections=many, applies=0),
        MAILROOM: Taker(intake, system.webhooks_port, connections=many),
    }
    taken: dict[str, list[Taken]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name in list(sides) if number % 2 else list(sides)[::-1]:
            wait_until_quiet(console)
            mails = store.campaign_mails(options.events)
            one = webhooks.measure(system, sides[name], mails, _KIND, new_id=store.new_event_id)
            console.log(f"round {number}, {name}: {one.rate:,.0f} a second")
            if number:  # the first warms up, and is not counted
                taken[name].append(one)
    return {name: _summary(rounds, taken[BARE]) for name, rounds in taken.items()}


def _summary(rounds: Sequence[Taken], bare: Sequence[Taken]) -> dict[str, Any]:
    return {
        **beside(rounds, bare),
        "us of the process": round(statistics.median(one.intake_us for one in rounds)),
        "us of the stores": round(statistics.median(one.stores_us for one in rounds)),
        "not once": sum(one.not_once for one in rounds),
    }


if __name__ == "__main__":
    sys.exit(main())
