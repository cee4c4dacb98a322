"""The beginning of `mailroom up`: what takes longest begins at once, and side by side.

The servers start and another process imports what the parts consist of, while this one imports the rest of the course.
"""

import os
import threading
from pathlib import Path
from typing import Final

from cli.signals import stop_on_signals
from cli.uncollected import uncollected
from cli.up.console import say, say_why_not
from config.reading import dotenv_of
from local.binaries import BinaryMissing
from local.children import ChildFailed
from local.forked import ForkServer
from local.private_files import keep_to_ourselves
from local.servers import Servers

_PARTS: Final = ("cli.checked_in", "scheduler_api.app", "web.app", "sender.process", "simulator.app")


def run_all(data: Path, *, senders: int, simulator: bool, edge: bool = False) -> int:
    """Until a signal comes. Returns the exit status."""
    stop = threading.Event()
    stop_on_signals(stop)
    data = data.absolute()
    keep_to_ourselves(data)
    say("starting mongod, etcd and redis-server")
    forks = ForkServer(_PARTS, env={**dotenv_of(Path(".env")), **os.environ})
    try:
        servers = Servers.begin(data, ask_password=True)
    except (BinaryMissing, ChildFailed) as error:
        forks.close()
        return say_why_not(error)
    with uncollected():
        from cli.up.course import run_on

    try:
        return run_on(servers, forks, stop, senders=senders, simulator=simulator, edge=edge)
    finally:
        forks.close()
