"""A sender process of the product, with one thing done to it, named in the environment:

CHAOS_POINT, CHAOS_AFTER, CHAOS_SIGNAL   at the nth passing of a point it sends itself SIGKILL or SIGSTOP
CHAOS_HITS                               the file to which it then adds the point's name
CHAOS_CLOCK                              seconds by which this host's clock is off
CHAOS_BREAK                              a promise that is switched off, by its name in breaking.py
"""

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from tests.chaos.breaking import BREAKS
from tests.chaos.points import BY_NAME, Point


def arm(point: Point, *, passings: int, number: signal.Signals, hits: str) -> None:
    """Wrap the point's function: at the given passing with work in hand the signal comes, once."""
    module, _, name = point.owner.partition(":")
    owner: Any = importlib.import_module(module)
    owner = getattr(owner, name) if name else owner
    whole: Callable[..., Any] = getattr(owner, point.function)
    lock, left = threading.Lock(), [passings]

    def passed(args: tuple[Any, ...], result: Any) -> None:
        if not point.with_work(args, result):
            return
        with lock:
            left[0] -= 1
            if left[0] != 0:
                return
            with Path(hits).open("a") as out:
                out.write(f"{point.name}\n")
        os.kill(os.getpid(), number)
        time.sleep(0.1)  # the signal may reach another thread first; this one must not go on

    @wraps(whole)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not point.after:
            passed(args, None)
        result = whole(*args, **kwargs)
        if point.after:
            passed(args, result)
        return result

    setattr(owner, point.function, wrapped)


def main() -> None:
    """Do what the environment says, then be a sender."""
    from cli.main import main as mailroom

    environ = os.environ
    if name := environ.get("CHAOS_POINT"):
        number = signal.Signals[environ.get("CHAOS_SIGNAL", "SIGKILL")]
        arm(BY_NAME[name], passings=int(environ.get("CHAOS_AFTER", "1")), number=number, hits=environ["CHAOS_HITS"])
    for broken in filter(None, environ.get("CHAOS_BREAK", "").split(",")):
        BREAKS[broken]()
    if offset := environ.get("CHAOS_CLOCK"):
        import time_machine

        time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(offset)), tick=True).start()
    sys.argv = ["mailroom", "sender"]
    mailroom()


if __name__ == "__main__":
    main()
