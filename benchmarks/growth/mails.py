"""What a mail costs, and a due instant: sent by a real sender to the stub, one mail a call."""

import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks import lateness
from benchmarks.growth.store import console
from benchmarks.peers import with_mailroom
from benchmarks.rounds import Round, undisturbed
from benchmarks.stage import Stub, cpu_of_all, cpu_s
from local.children import Child
from tests.support.system import System

_WAIT_S: Final = 10.0  # until others have done
_SETTLE_S: Final = 6.0  # longer than a sender that has just started keeps looking
_REST_S: Final = 10.0
_BEFORE_S: Final = 1.0  # lanes of due schedules are taken ahead
_LONGEST_S: Final = 60.0
_STOP_S: Final = 20.0


def mails(system: System, stub: Stub, count: int, *, tries: int) -> dict[str, Any]:
    """Send so many mails, which were planned before. Again where others were at work, at most `tries` times."""

    def once() -> Round:
        stub.forget()
        with_mailroom.plan(system.db, count, 1)
        return with_mailroom.send(system, stub, system.servers.children(), count, count, 1)

    found, quiet = undisturbed(once, console, tries=tries, wait_s=_WAIT_S)
    spent = {"sender_us": found.cpu_us["worker"], "stores_us": found.cpu_us["stores"], "a_second": found.rate}
    return {**{name: round(value) for name, value in spent.items()}, "doubled": found.doubled, "quiet": quiet}


def due_instant(system: System, stub: Stub, schedules: int, *, tries: int) -> dict[str, Any]:
    """So many schedules of one mail, due in the same second: the time from the instant to each receipt, and what
    planning and sending them cost; and what a sender and the stores cost before, while nothing is due. Again
    where others were at work, at most `tries` times."""
    found, quiet = undisturbed(lambda: _due_instant(system, stub, schedules), console, tries=tries, wait_s=_WAIT_S)
    return {**found, "quiet": quiet}


def _due_instant(system: System, stub: Stub, schedules: int) -> dict[str, Any]:
    stub.forget()
    (sender,) = system.start_senders(1)
    stores = system.servers.children()
    at_rest = _at_rest(sender, stores)
    due_at = lateness.make_due(system, schedules)
    time.sleep(max(0.0, due_at.timestamp() - _BEFORE_S - datetime.now(UTC).timestamp()))
    sender_s, stores_s = cpu_s(sender.pid), cpu_of_all(stores)
    stub.wait_for(schedules, timeout_s=_LONGEST_S, child=sender)
    time.sleep(_BEFORE_S)  # the outcomes are written down
    spent = {"sender_us": cpu_s(sender.pid) - sender_s, "stores_us": cpu_of_all(stores) - stores_s}
    receipts = stub.receipts()
    sender.stop(grace_s=_STOP_S)
    late = sorted(at - due_at.timestamp() for _, at in receipts)
    return {
        **{name: round(seconds / schedules * 1e6) for name, seconds in spent.items()},
        "late_p50_s": round(statistics.median(late), 3),
        "late_p99_s": round(late[int(len(late) * 0.99)], 3),
        "doubled": len(receipts) - len({dispatch for dispatch, _ in receipts}),
        **at_rest,
    }


def _at_rest(sender: Child, stores: Sequence[Child]) -> dict[str, float]:
    """Per cent of a core, over two whole rests, while no schedule is due."""
    time.sleep(_SETTLE_S)
    began, sender_s, stores_s = time.monotonic(), cpu_s(sender.pid), cpu_of_all(stores)
    time.sleep(_REST_S)
    took_s = time.monotonic() - began
    return {
        "sender_at_rest_percent": round(100 * (cpu_s(sender.pid) - sender_s) / took_s, 2),
        "stores_at_rest_percent": round(100 * (cpu_of_all(stores) - stores_s) / took_s, 2),
    }
