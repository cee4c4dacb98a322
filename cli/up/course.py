"""The course of `mailroom up` once its servers have begun: start the parts, watch, and end in order."""

import signal
import threading
from typing import Final

from cli.up.console import console, say, say_why_not
from cli.up.environment import keep_environment, system_of
from cli.up.greeting import greet, warn_of_dotenv
from cli.up.parts import HAPROXY_PART, PartProcess, parts_of, start
from cli.up.watch import watch
from config.settings import BadSettings
from local.binaries import BinaryMissing
from local.children import ChildFailed
from local.forked import ForkServer
from local.servers import Servers
from mailroom.assembly.database import prepare_database
from mailroom.domain.errors import Unavailable

_BEYOND_A_CALL_S: Final = 20.0  # a sender that drains lets its calls end, and records their outcomes


def run_on(
    servers: Servers, forks: ForkServer, stop: threading.Event, *, senders: int, simulator: bool, edge: bool
) -> int:
    """Until `stop` is set. Ends the servers, too. Returns the exit status."""
    parts: list[PartProcess] = []
    grace_s = _BEYOND_A_CALL_S
    try:
        system = system_of(servers, senders=senders, simulator=simulator, edge=edge)
        keep_environment(system)
        grace_s += system.settings.sending.call_timeout_s
        servers.wait_until_healthy()
        parts = parts_of(system, forks)
        db = prepare_database(system.settings)
        start(parts, system)
        warn_of_dotenv(system)
        greet(system, db)
        watch(parts, servers, stop)
    except (BadSettings, BinaryMissing, ChildFailed, Unavailable) as error:
        return say_why_not(error)
    finally:
        _stop(parts, servers, grace_s=grace_s)
    return 0


def _stop(parts: list[PartProcess], servers: Servers, *, grace_s: float) -> None:
    """Senders first, all at once, until they have drained; then the edge, which lets requests in hand be answered; then
    what these talked to; the servers last."""
    senders = [part for part in parts if part.name.startswith("sender")]
    if any(part.child is not None and part.child.alive() for part in senders):
        say(f"ending; calls in hand may take up to {grace_s:.0f} s")
    edge = [part for part in parts if part.name == HAPROXY_PART]
    others = [part for part in parts if part not in senders + edge]
    # At SIGTERM HAProxy breaks off what is in hand.
    for group, by in ((senders, signal.SIGTERM), (edge, signal.SIGUSR1), (others, signal.SIGTERM)):
        running = [part.child for part in group if part.child is not None]
        for child in running:
            if child.alive():
                child.process.send_signal(by)
        for child in running:
            child.stop(grace_s=grace_s, by=by)
    servers.stop()
    if parts:
        console.print("[dim]ended; the data stays[/dim]")
