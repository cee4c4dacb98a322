"""Mailroom itself: one sender process with all its guarantees, on real mongod, etcd and redis-server.

The runs are planned before, as the peers' queues are filled before; then one sender starts, and the stub counts. One
mail a call, as with the peers; the stores' CPU is told beside the sender's.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.rounds import Contender, Round
from benchmarks.stage import Stub, cpu_s
from local.children import Child
from local.servers import Servers
from mailroom.domain.ids import ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.services.planning import plan as planning_plan
from mailroom.services.schedules import create as create_schedule
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from tests.support.builders import a_draft, recipients
from tests.support.system import System, a_system

_LONGEST_S = 180.0


def contender(stub: Stub, folder: Path, *, in_flight: int, processes: int = 1, batch_size: int = 1) -> Contender:
    """A round sends so many mails with fresh stores, from sender processes that share `in_flight` calls."""

    def run(mails: int) -> Round:
        stub.forget()
        shares = shares_of(mails, processes)
        calls = sum(-(-share // batch_size) for share in shares)
        with _planned(stub, folder, shares, in_flight // processes, batch_size) as (system, servers):
            return send(system, stub, servers, calls, mails, processes)

    return run


def shares_of(mails: int, schedules: int) -> list[int]:
    """How many of the mails each schedule gets: all of them together, also where they cannot be shared evenly."""
    return [mails // schedules + (number < mails % schedules) for number in range(schedules)]


@contextmanager
def _planned(
    stub: Stub, folder: Path, shares: Sequence[int], in_flight: int, batch_size: int
) -> Iterator[tuple[System, Sequence[Child]]]:
    """A system whose dispatches all wait, a lane for each share."""
    place = folder / secrets.token_hex(4)
    settings = {"MAILGUN_BASE_URL": stub.url, "MAILROOM_SENDER_CONCURRENCY": str(in_flight)}
    with Servers.start(place) as servers, a_system(place, servers, database="bench", **settings) as system:
        for share in shares:
            plan(system.db, share, batch_size)
        children = [child for child in (servers.mongod, servers.redis, servers.etcd) if child is not None]
        yield system, children


def plan(db: Db, mails: int, batch_size: int) -> float:
    """One schedule's run, planned as a sender plans it, its token then given back. Returns the seconds that it took."""
    soon = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0, tzinfo=None)
    rule = {"kind": "once", "at": soon, "time_zone": "UTC"}
    draft = a_draft(recipients=recipients(mails), recurrence=rule)
    schedule = create_schedule.create(db, draft, owner="bench")[0].schedule
    held = {ScheduleId(schedule.id): Token(1)}
    lanes.raise_tokens(db, {schedule_lane(schedule.id): Token(1)}, "bench", now=server_now(db))
    while not planning_plan.plan_due(db, held, mark=0, now=server_now(db)).moved:
        time.sleep(0.05)
    began = time.monotonic()
    while planning_plan.expand(db, held, batch_size=batch_size, now=server_now(db)).moved:
        pass
    return time.monotonic() - began


def send(system: System, stub: Stub, servers: Sequence[Child], calls: int, mails: int, processes: int) -> Round:
    """Start so many senders, measure from the first receipt until all calls came, and stop them."""
    senders = system.start_senders(processes)
    start = stub.wait_for(1, timeout_s=60, child=senders[0])
    before = {child.name: cpu_s(child.pid) for child in (*senders, *servers)}
    count = stub.wait_for(calls, timeout_s=_LONGEST_S, child=senders[0])
    since = max(1, calls - start.calls) / 1e6
    spent = {child.name: (cpu_s(child.pid) - before[child.name]) / since for child in (*senders, *servers)}
    cpu_us = {
        "worker": sum(value for name, value in spent.items() if name.startswith("sender")),
        "stores": sum(value for name, value in spent.items() if not name.startswith("sender")),
        "stub": (count.cpu_s - start.cpu_s) / since,
    }
    for sender in senders:
        sender.stop(grace_s=20)
    return Round(mails=mails, rate=count.rate(), doubled=count.calls - count.distinct, cpu_us=cpu_us)
