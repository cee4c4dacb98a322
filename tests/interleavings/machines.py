"""What a sender asks of the machine that it runs on: clocks, dice, and threads that open connections."""

import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import sender.parts  # noqa: F401 - so that every part of a sender is loaded
from mailroom.services.common import clock
from tests.interleavings.director import acting

_UP_S: Final = 1_000.0  # for so long a machine has been up when a sender starts on it

# The senders' own: drivers throw the common ones as well, and a course must give the same run each time.
dice: Final = random.Random()


def monotonic() -> float:
    """The clock of the machine that acts; while a sender is being made, the time of its start."""
    actor = acting()
    return _UP_S + (actor.director.own_time(actor.machine) if actor else 0)


class _HostTime(datetime):
    """The clock of the host, which agrees with MongoDB's."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        actor = acting()
        assert actor is not None
        return actor.director.time_of_day()


class AtOnce(Executor):
    """Does what is submitted before it returns."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def submit(self, work: Callable[..., Any], /, *args: Any, **rest: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **rest))
        except Exception as error:
            done.set_exception(error)
        return done


@contextmanager
def machines() -> Iterator[None]:
    """Let the modules of senders ask the machine whose thread acts (director.py), not the one that runs the tests."""
    asking = [module for name, module in sys.modules.items() if name.startswith("sender.")]
    with ExitStack() as stack:
        for module in [*asking, clock]:
            if hasattr(module, "time"):
                stack.enter_context(patch.object(module, "time", SimpleNamespace(monotonic=monotonic)))
            if hasattr(module, "random"):
                stack.enter_context(patch.object(module, "random", dice))
        stack.enter_context(patch.object(clock, "datetime", _HostTime))
        for module in ("sender.connections", "sender.planner"):
            stack.enter_context(patch(f"{module}.ThreadPoolExecutor", AtOnce))
        yield
