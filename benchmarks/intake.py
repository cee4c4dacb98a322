"""`POST /v1/emails` beside a bare Flask route that inserts one document: the same server, the same write concern.

    python -m benchmarks.intake [--seconds 10] [--rounds 5] [--connections 64]

Both are one gunicorn process of threads, as `mailroom api` is, on the same real MongoDB; they are asked in turn, by one
process with so many kept-alive connections, so that what disturbs the machine disturbs both. Mailroom checks the token
and the mail, and stores four documents in a transaction, where the route stores one as it came.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.asking import Asked, ask_for, takes_posts
from benchmarks.beside_bare import beside, show
from benchmarks.quiet import wait_until_quiet
from local.ports import free_port
from local.servers import Servers
from tests.support.emails import an_email
from tests.support.system import System, a_system

console = Console(stderr=True)
LEAST: Final = 0.6
BARE, MAILROOM, KEYED = "a bare route", "POST /v1/emails", "POST /v1/emails, Idempotency-Key"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--connections", type=int, default=64)
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Servers.start(Path(folder)) as servers,
        a_system(Path(folder), servers, database="intake") as system,
    ):
        found = measure(system, options)
    show(found, console)
    print(json.dumps(found, indent=1))
    return 0 if found[MAILROOM]["times the bare route"] >= LEAST else 1


def measure(system: System, options: argparse.Namespace) -> dict[str, Any]:
    system.start_api(webhooks=False)
    bare = free_port()
    child = system.start("bare", "benchmarks.bare_route", MAILROOM_API_PORT=str(bare))
    child.wait_until(lambda: takes_posts(bare, "/bare"), timeout_s=30)
    body = json.dumps(an_email()).encode()
    signed = {"Authorization": f"Bearer {system.token}"}
    asked: dict[str, list[Asked]] = {BARE: [], MAILROOM: [], KEYED: []}
    for number in range(options.rounds + 1):
        for name in list(asked) if number % 2 else list(asked)[::-1]:
            wait_until_quiet(console)
            port, path = (bare, "/bare") if name == BARE else (system.api_port, "/v1/emails")
            seconds = options.seconds if number else options.seconds / 4
            found = ask_for(seconds, port, path, body, signed, options.connections, keyed=name == KEYED)
            console.log(f"round {number}, {name}: {found.rate:,.0f} a second")
            if number:  # the first warms up, and is not counted
                asked[name].append(found)
    return {name: _summary(rounds, asked[BARE]) for name, rounds in asked.items()}


def _summary(rounds: list[Asked], bare: list[Asked]) -> dict[str, Any]:
    return {**beside(rounds, bare), "refused": sum(one.refused for one in rounds)}


if __name__ == "__main__":
    sys.exit(main())
