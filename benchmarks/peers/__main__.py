"""Mailroom and others sending the same mails, in interleaved rounds, counted by the stub.

    python -m benchmarks.peers [--rounds 3] [--seconds 6] [--in-flight 64] [--delay-ms 0] [--only NAME ...]

The others are bare requests, BullMQ, Celery and dramatiq. A queue is filled before its worker starts; a round is
measured from the first receipt to the last. Each round has a Redis of its own, with an append-only file. Other
programs' shares of the CPU are told too: the machine has two cores.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import child
from benchmarks.peers import on_bullmq, on_celery, on_dramatiq, with_mailroom
from benchmarks.rounds import Contender, Round, interleaved, summary, table
from benchmarks.stage import Stub, a_redis, a_stub, cpu_s
from local.children import Child

_LONGEST_S: Final = 180.0
_STOP_S: Final = 30.0
# Eight processes have eight calls in flight, not 64: the best on two cores, as long as answers come at once.
_USUAL: Final = (
    *("mailroom", "bare", "bullmq", "dramatiq"),
    *("celery threads", "celery prefork", "celery prefork, 8 processes"),
)

Fill = Callable[[str, int], None]  # the queue's URL, how many mails
Command = Callable[[str], Sequence[str]]  # the queue's URL


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=6.0, help="what a round is to last")
    arguments.add_argument("--in-flight", type=int, default=64)
    arguments.add_argument("--delay-ms", type=float, default=0.0, help="of the stub's answers")
    arguments.add_argument("--only", nargs="*", help=f"contenders by name; unless told {', '.join(_USUAL)}")
    options = arguments.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder, a_stub(Path(folder), delay_ms=options.delay_ms) as stub:
        contenders = contenders_of(stub, Path(folder), options.in_flight)
        chosen = {name: contenders[name] for name in options.only or _USUAL}
        rounds = interleaved(chosen, rounds=options.rounds, seconds=options.seconds, console=console)
    found = summary(rounds)
    console.print(table(found))
    print(json.dumps(found, indent=1))
    return 0


def contenders_of(stub: Stub, folder: Path, in_flight: int) -> dict[str, Contender]:
    """Everybody that can be measured, by name."""

    def celery(pool: str = "threads", prefetch: int = 4, concurrency: int = in_flight) -> Contender:
        command = [sys.executable, "-m", "benchmarks.peers.on_celery", "--stub", stub.url, "--pool", pool]
        command += ["--in-flight", str(concurrency), "--prefetch", str(prefetch)]
        return _queued(stub, folder, on_celery.fill, lambda url: [*command, "--redis", url])

    def dramatiq(**env: str) -> Contender:
        command = [sys.executable, "-m", "dramatiq", "benchmarks.peers.on_dramatiq:set_up", "--skip-logging"]
        command += ["--processes", "1", "--threads", str(in_flight)]
        return _queued(stub, folder, on_dramatiq.fill, lambda _url: command, env)

    return {
        "mailroom": with_mailroom.contender(stub, folder, in_flight=in_flight),
        "mailroom, 2 processes": with_mailroom.contender(stub, folder, in_flight=in_flight, processes=2),
        "bare": _bare(stub, in_flight),
        "bullmq": _queued(stub, folder, on_bullmq.fill, lambda url: on_bullmq.command(url, stub.url, in_flight)),
        "celery threads": celery(),
        "celery threads, prefetch 1": celery(prefetch=1),
        "celery threads, prefetch 16": celery(prefetch=16),
        "celery prefork": celery("prefork"),
        "celery prefork, prefetch 1": celery("prefork", 1),
        "celery prefork, prefetch 16": celery("prefork", 16),
        "celery prefork, 8 processes": celery("prefork", concurrency=8),
        "celery prefork, 2 processes": celery("prefork", concurrency=2),
        "celery threads, 8 threads": celery(concurrency=8),
        "dramatiq": dramatiq(),
        "dramatiq, prefetch 1000": dramatiq(dramatiq_queue_prefetch="1000"),
    }


def _bare(stub: Stub, in_flight: int) -> Contender:
    command = [sys.executable, "-m", "benchmarks.peers.bare", "--stub", stub.url, "--in-flight", str(in_flight)]
    return child.contender(stub, lambda mails: [*command, "--mails", str(mails)], who="worker")


def _queued(
    stub: Stub, folder: Path, fill: Fill, command: Command, more_env: Mapping[str, str] | None = None
) -> Contender:
    def run(mails: int) -> Round:
        stub.forget()
        with tempfile.TemporaryDirectory(dir=folder) as name, a_redis(Path(name)) as redis:
            fill(redis.url, mails)
            env = {**os.environ, "BENCH_REDIS_URL": redis.url, "BENCH_STUB_URL": stub.url, **(more_env or {})}
            worker = Child("worker", command(redis.url), log=Path(name) / "worker.log", env=env)
            try:
                # From the first mails on: what the worker spent on its imports is no mail's.
                start = stub.wait_for(1, timeout_s=60, child=worker)
                worker_s, redis_s = cpu_s(worker.pid), cpu_s(redis.child.pid)
                count = stub.wait_for(mails, timeout_s=_LONGEST_S, child=worker)
                since = max(1, mails - start.calls) / 1e6
                spent = {
                    "worker": (cpu_s(worker.pid) - worker_s) / since,
                    "redis": (cpu_s(redis.child.pid) - redis_s) / since,
                    "stub": (count.cpu_s - start.cpu_s) / since,
                }
            finally:
                worker.stop(grace_s=_STOP_S)
        return Round(mails=mails, rate=count.rate(), doubled=count.calls - count.distinct, cpu_us=spent)

    return run


if __name__ == "__main__":
    sys.exit(main())
