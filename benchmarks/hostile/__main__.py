"""What the most expensive requests that we know of cost: alone, and ten at a time beside password resets.

    python -m benchmarks.hostile [--seconds 8] [--at-once 10] [--a-second 10] [--only TEXT] [--limits]

Each row is sent to a real `mailroom api` or `mailroom web`: once, for its time and by how much the process' peak of
memory grew; then so many at a time for a while, beside password resets at a steady pace, from the request to the
receipt at the provider (the stub). Callers' limits are off, or as they are by default with --limits. Exit 1 where a
reset was lost or their p99 is a second or more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.hostile.rows import ROWS, Row
from benchmarks.resets import a_far_campaign, resets
from benchmarks.stage import Stub, a_stub
from local.children import Child
from local.servers import Servers
from mailroom.services.operations import tokens as token_service
from mailroom.services.planning import asked_runs
from mailroom.services.reports import runs as run_views
from tests.support.system import System, a_system, peak_memory_mb, wait_for

console = Console(stderr=True)
_OFF: Final = dict.fromkeys(("MAILROOM_SIGN_INS_PER_MINUTE", "MAILROOM_REPORTS_PER_MINUTE"), "none")
_LONGEST_MS: Final = 1_000
_MANY: Final = 300_000


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=8.0)
    arguments.add_argument("--at-once", type=int, default=10)
    arguments.add_argument("--a-second", type=float, default=10.0)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--limits", action="store_true")
    options = arguments.parse_args()
    chosen = [row for row in ROWS if options.only in row.name]
    with (
        tempfile.TemporaryDirectory() as folder,
        a_stub(Path(folder), delay_ms=20) as stub,
        Servers.start(Path(folder)) as servers,
        a_system(
            Path(folder),
            servers,
            database="hostile",
            MAILGUN_BASE_URL=stub.url,
            **({} if options.limits else _OFF),
        ) as system,
    ):
        found = _measure(system, stub, chosen, options)
    _show(found)
    print(json.dumps(found, indent=1))
    return 0 if all(not row["missing"] and row["p99 ms"] < _LONGEST_MS for row in found.values()) else 1


def _measure(system: System, stub: Stub, rows: list[Row], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    servers = {"api": system.start_api(webhooks=False), "web": system.start_web()}
    system.start_senders(1)
    now = datetime.now(UTC)
    tokens = {
        scope: token_service.create_token(system.db, name=f"hostile-{scope}", scopes=[scope], now=now)
        for scope in ("read", "mail", "schedules")
    }
    run = _a_finished_run(system, stub) if any("{run}" in row.path for row in rows) else ""
    resets(system, stub, options)  # the first ones warm everything up
    found = {"(resets alone)": {"alone s": None, "MB": None, **resets(system, stub, options)}}
    for row in rows:
        server, token = servers[row.to], tokens.get(row.scope, "")
        port = system.api_port if row.to == "api" else system.web_port
        before = _forget_peak(server)
        row = replace(row, path=row.path.format(run=run))
        alone = _asking(row, port, token, 1, 0).communicate()[0]
        grew = _peak(server) - before
        beside = _asking(row, port, token, options.at_once, options.seconds + 1)
        time.sleep(1)
        told = resets(system, stub, options)
        many = json.loads(beside.communicate()[0])
        found[row.name] = {
            "alone s": json.loads(alone)["longest_s"],
            "MB": round(grew),
            "answers": many["came"],
            "MB, at once": round(_peak(server) - before),
            **told,
        }
        console.log(row.name, found[row.name])
    return found


def _a_finished_run(system: System, stub: Stub) -> str:
    """The id of a run of so many mails, all called; the stub has forgotten them."""
    with console.status(f"a run of {_MANY} mails"):
        schedule = a_far_campaign(system, _MANY)
        run, _ = asked_runs.run_now(system.db, schedule, owner="benchmark", key="run")
        wait_for(lambda: run_views.get(system.db, run.id).finished_at, within_s=600, what="the run ends")
    stub.forget()
    return run.id


def _asking(row: Row, port: int, token: str, at_once: int, seconds: float) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "benchmarks.hostile.asking",
        row.name,
        row.path,
        str(port),
        token,
        str(at_once),
        str(seconds),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _workers(server: Child) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _forget_peak(server: Child) -> float:
    """From now on the peak of memory is counted anew."""
    for pid in _workers(server):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _peak(server)


def _peak(server: Child) -> float:
    return max(peak_memory_mb(pid) for pid in _workers(server))


def _show(found: dict[str, dict[str, Any]]) -> None:
    table = Table("request", "alone s", "MB", "MB at once", "answers", "resets p50 ms", "p99 ms", "most ms", "missing")
    for name, row in found.items():
        names = ("alone s", "MB", "MB, at once", "answers", "p50 ms", "p99 ms", "most ms", "missing")
        table.add_row(name, *(str(row.get(column, "")) for column in names))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
