"""A steady load at a share of the peak, for as long as is wanted: memory and latency are flat, and no alert fires.

    python -m benchmarks.soak [--minutes 60] [--load 0.7] [--json FILE]

The peak is measured for five minutes: single mails as fast as all of them go out and are told of, beside a campaign
and page views; the first two do not count, since empty stores are faster. Then that share of each is asked for. The
first minutes, in which caches fill, count for no slope. Exit 1 if an alert fired, a figure is not shown to be flat, or
a mail was doubled, lost or refused.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.soak import report
from benchmarks.soak.alerts import Prometheus, a_prometheus
from benchmarks.soak.book import Book
from benchmarks.soak.load import Load, Pace
from benchmarks.soak.report import Counted, Found
from benchmarks.soak.samples import EVERY_S, Samples
from benchmarks.soak.stage import Stage, a_stage
from tests.support.system import wait_for

console = Console(stderr=True)
PEAK: Final = Pace(mails_a_second=None, recipients=600, views_a_second=4.0)
_LEAST_MINUTES: Final = 8
_PEAK_S: Final = 300.0
_RISES_S: Final = 120.0  # until the load is at its peak, and the stores hold what they hold under load
_QUIET_S: Final = 600.0
_SEEN_S: Final = 90.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--load", type=float, default=0.7, help="share of the peak")
    arguments.add_argument("--json", type=Path, default=Path("data/soak.json"))
    options = arguments.parse_args()
    if options.minutes < _LEAST_MINUTES:
        arguments.error(f"--minutes: at least {_LEAST_MINUTES}, or there is no slope")
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-soak-") as folder,
        a_stage(Path(folder)) as stage,
        a_prometheus(Path(folder) / "prometheus", stage.scraped) as prometheus,
    ):
        found = soak(stage, prometheus, minutes=options.minutes, load=options.load)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(report.as_json(found))
    print(report.as_tables(found))
    return 0 if found.holds else 1


def soak(stage: Stage, prometheus: Prometheus, *, minutes: float, load: float) -> Found:
    book = Book(stage.system.simulator)
    _wait_until_seen(stage, prometheus)
    with console.status("the peak"):
        peak = _peak(stage, book)
    console.log(f"the peak: {peak:.0f} single mails a second")
    pace = Pace(peak * load, round(PEAK.recipients * load), PEAK.views_a_second * load)
    samples = Samples({**stage.ours, **stage.stores}, book)
    since = time.time()
    running = Load(stage.system, book, pace)
    _hold(running, samples, prometheus, book, since, minutes * 60)
    until, behind = time.time(), running.behind()
    running.end()
    rules, blind = prometheus.evaluated(), prometheus.blind_spots(stage.scraped, since=since, until=until)
    fired, pending = (prometheus.firing(since=since, until=until, state=state) for state in ("firing", "pending"))
    _until_quiet(stage, book)
    counted = _counted(stage, book, behind)
    return Found(minutes, peak, pace, samples.windows, list(stage.ours), rules, blind, fired, pending, counted)


def _wait_until_seen(stage: Stage, prometheus: Prometheus) -> None:
    """All processes are scraped and all rules evaluated: nobody finds out at the end of an hour that they were not."""
    spots: list[str] = []

    def seen() -> bool:
        now = time.time()
        spots[:] = prometheus.blind_spots(stage.scraped, since=now, until=now)
        return not spots

    try:
        wait_for(seen, within_s=_SEEN_S, what="Prometheus sees all")
    except AssertionError as error:
        raise AssertionError(f"{error}: {spots}") from None


def _peak(stage: Stage, book: Book) -> float:
    """Single mails a second that go out, and are told of by webhooks."""
    running = Load(stage.system, book, PEAK)
    time.sleep(_RISES_S)
    before, began = book.arrived, time.monotonic()
    time.sleep(_PEAK_S - _RISES_S)
    peak = (book.arrived - before) / (time.monotonic() - began)
    running.end()
    _until_quiet(stage, book)
    book.times()
    return peak


def _hold(running: Load, samples: Samples, prometheus: Prometheus, book: Book, since: float, seconds: float) -> None:
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("steady", total=seconds)
        while (spent := time.time() - since) < seconds:
            time.sleep(EVERY_S)
            progress.update(task, completed=spent)
            if (window := samples.look()) is None:
                continue
            firing = ", ".join(prometheus.firing(since=since, until=time.time())) or "none"
            said = f"resets p99 {window.ms.get('resets p99', 0):.0f} ms, {running.behind()} behind, alerts: {firing}"
            progress.update(task, description=said)
            left = f"{running.behind()} behind, {book.untold:,} webhooks untold"
            line = f"{spent / 60:.1f} min: {report.as_line(window)}, {left}, alerts: {firing}"
            console.print(line, soft_wrap=True)


def _counted(stage: Stage, book: Book, behind: int) -> Counted:
    """All must be quiet."""
    runs = book.campaign()
    promised = {run["_id"]: run["recipients"] for run in stage.system.db.runs.find({}, {"recipients": 1})}
    missing = sum(recipients - runs.get(id_, 0) for id_, recipients in promised.items())
    lost = book.waiting() + missing
    return Counted(book.arrived, sum(runs.values()), len(runs), book.views, book.doubled, lost, book.refused, behind)


def _until_quiet(stage: Stage, book: Book) -> None:
    """All that was promised went out, and was told. Raises AssertionError with what did not."""
    db, left = stage.system.db, dict[str, int]()

    def quiet() -> bool:
        nonlocal left
        book.read()
        open_runs = db.runs.count_documents({"state": {"$in": ["planning", "planned"]}})
        left = {"mails": book.waiting(), "runs": open_runs, "webhooks": book.untold}
        return not any(left.values())

    try:
        wait_for(quiet, within_s=_QUIET_S, what="all went out, and was told")
    except AssertionError as error:
        states = Counter(doc["state"] for doc in db.dispatches.find({}, {"state": 1}))
        raise AssertionError(f"{error}; left: {left}; dispatches: {dict(states)}") from None


if __name__ == "__main__":
    sys.exit(main())
