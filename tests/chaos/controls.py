"""`python -m tests.chaos.controls`: each promise switched off, in the situation that it is for: it must make doubles.

And the same situation with the promise kept: it must make none. A run of chaos that finds nothing proves something
only because these find something.
"""

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from local.servers import Servers
from mailroom.coordination.etcd import Etcd
from tests.chaos.faults.senders import is_stopped
from tests.chaos.world import SETTINGS, Sender, World
from tests.support.system import a_system, wait_for
from tests.support.vendors import SendGrid

console = Console(stderr=True)
# Nothing but the promise at hand is to help: long leases, and connections that live long.
_ALONE: Final = {**SETTINGS, "MAILROOM_PROVIDERS": "mailgun"}
_CALM: Final = {**_ALONE, "MAILROOM_LEASE_TTL": "300", "MAILROOM_IDLE_LIMIT": "120"}


def _lost_reply(world: World) -> None:
    """Calls whose replies get lost after they were accepted."""
    world.system.simulator.fail_next("drop_after", 5)
    world.start_senders()
    _ask(world)


def _lagging_log(world: World) -> None:
    """Calls that failed after they were accepted, and a log that shows nothing of them for a while."""
    world.system.simulator.turn(event_lag_s=8.0)
    world.system.simulator.fail_next("500_after", 5)
    world.start_senders()
    _ask(world)


def _overtaken(world: World) -> None:
    """A sender stands still between claim and fence; its lease is lost, another one sends; then it goes on."""
    slow = _stopped_before_the_fence(world)
    _revoke_leases(world)
    world.start_senders()
    wait_for(lambda: _all_out(world), within_s=30, what="the other one has sent")
    slow.signal(signal.SIGCONT)
    time.sleep(3)


def _overtaken_twice(world: World) -> None:
    """As before, but the other one, too, stands still before the fence of its own attempt, and goes on while the first
    one's calls are under way."""
    world.system.simulator.turn(latency_s=1.0)
    slow = _stopped_before_the_fence(world)
    _revoke_leases(world)
    other = world.start_sender(point="before the fence", CHAOS_SIGNAL="SIGSTOP", CHAOS_AFTER="1")
    world.senders.append(other)
    wait_for(lambda: is_stopped(other.child), within_s=30, what="the other one stands before the fence")
    slow.signal(signal.SIGCONT)
    time.sleep(0.5)
    other.signal(signal.SIGCONT)
    time.sleep(2)


_MAILS: Final = 24  # twelve dispatches: one sender claims them all at once

CONTROLS: Final[dict[str, tuple[Callable[[World], None], dict[str, str]]]] = {
    "reconnect": (_lost_reply, _ALONE),
    "wait": (_lagging_log, _ALONE),
    "fence": (_overtaken, _CALM),
    "token": (_overtaken_twice, _CALM),
}


def doubles(control: str, folder: Path, *, broken: bool) -> int:
    """How many mails went out more than once in the control's situation."""
    situation, settings = CONTROLS[control]
    with (
        closing(SendGrid()) as backup,
        Servers.start(folder / "servers") as servers,
        a_system(folder / "system", servers, database="control", **settings) as system,
    ):
        system.start_simulator()
        system.start_api(webhooks=False)
        world = World(folder, servers, system, backup, senders=2, rng=random.Random(1))
        world.breaks = control if broken else ""
        try:
            world.asks.prepare(schedules=1, recipients=_MAILS)
            world.system.simulator.turn(refused_addresses=[])
            situation(world)
            wait_for(lambda: _all_out(world), within_s=60, what="all mails went out")
            _wait_until_decided(world)
        finally:
            world.close()
        return sum(times > 1 for times in _marks(world).values())


def _wait_until_decided(world: World) -> None:
    """A mail that went out may still be in doubt, and go out again: until nothing is open, or something is doubled."""

    def decided() -> bool:
        return not world.open_dispatches() or max(_marks(world).values()) > 1

    wait_for(decided, within_s=60, what="nothing is open any more")


def _all_out(world: World) -> bool:
    return len(_marks(world)) == _MAILS


def _marks(world: World) -> Counter[str]:
    return Counter(mail["subject"] for mail in world.system.simulator.mails())


def _ask(world: World) -> None:
    (schedule,) = world.asked.marks
    assert world.asks.ask(schedule)


def _stopped_before_the_fence(world: World) -> Sender:
    sender = world.start_sender(point="before the fence", CHAOS_SIGNAL="SIGSTOP", CHAOS_AFTER="1")
    world.senders.append(sender)
    _ask(world)
    wait_for(lambda: is_stopped(sender.child), within_s=30, what="a sender stands before the fence")
    return sender


def _revoke_leases(world: World) -> None:
    client = Etcd([world.servers.etcd_url])
    for kv in client.range("/mailroom/senders/").kvs:
        client.revoke(kv.lease)
    client.close()


def main() -> int:
    shown = Table("promise", "doubled, switched off", "doubled, kept")
    well = True
    for control in CONTROLS:
        with console.status(control), tempfile.TemporaryDirectory() as folder:
            off = doubles(control, Path(folder) / "off", broken=True)
            kept = doubles(control, Path(folder) / "kept", broken=False)
        shown.add_row(control, str(off), str(kept))
        well = well and off > 0 and kept == 0
    console.print(shown)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
