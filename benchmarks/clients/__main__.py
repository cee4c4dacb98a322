"""Which HTTP client makes the most calls in one process? Interleaved rounds, counted by the stub.

    python -m benchmarks.clients [--rounds 3] [--seconds 5] [--in-flight 64] [--delay-ms 0] [--only NAME ...]

Each round is a process of its own. What is printed as "client" is that process's CPU from its first call to its last,
so imports do not count.
"""

import argparse
import importlib
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import child
from benchmarks.clients import Target
from benchmarks.rounds import Contender, interleaved, summary, table
from benchmarks.stage import Stub, a_stub

CLIENTS: Final = {
    "requests, threads": "threads:with_requests",
    "urllib3, threads": "threads:with_urllib3",
    "http.client, threads": "threads:with_http_client",
    "sockets + httptools, threads": "threads:with_sockets",
    "pycurl multi, perform": "curl:with_perform",
    "pycurl multi, epoll": "curl:with_epoll",
    "epoll + httptools": "epoll:send",
    "epoll + LiveConnection": "ours:send",
    "asyncio protocol + httptools": "loops:with_protocol",
    "uvloop protocol + httptools": "loops:with_protocol_on_uvloop",
    "aiohttp": "loops:with_aiohttp",
    "httpx": "loops:with_httpx",
}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=5.0, help="what a round is to last")
    arguments.add_argument("--in-flight", type=int, default=64)
    arguments.add_argument("--delay-ms", type=float, default=0.0, help="of the stub's answers")
    arguments.add_argument("--only", nargs="*", default=list(CLIENTS))
    arguments.add_argument("--one", help=argparse.SUPPRESS)  # in the child: which client, at what port, how many mails
    arguments.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--mails", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        _be_one(options)
        return 0
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder, a_stub(Path(folder), delay_ms=options.delay_ms) as stub:
        contenders = {name: _contender(CLIENTS[name], stub, options.in_flight) for name in options.only}
        rounds = interleaved(contenders, rounds=options.rounds, seconds=options.seconds, console=console)
    found = summary(rounds)
    console.print(table(found))
    print(json.dumps(found, indent=1))
    return 1 if any(row["doubled"] for row in found.values()) else 0


def _contender(client: str, stub: Stub, in_flight: int) -> Contender:
    command = [sys.executable, "-m", "benchmarks.clients", "--one", client, "--port", str(stub.port)]
    command += ["--in-flight", str(in_flight)]
    return child.contender(stub, lambda mails: [*command, "--mails", str(mails)], who="client")


def _be_one(options: argparse.Namespace) -> None:
    """In a child: send, and print the CPU seconds it took."""
    module, _, function = options.one.partition(":")
    send = getattr(importlib.import_module(f"benchmarks.clients.{module}"), function)
    before = _own_cpu_s()
    send(Target("127.0.0.1", options.port), options.mails, options.in_flight)
    print(_own_cpu_s() - before)


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
