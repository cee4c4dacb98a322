"""Signals set an event, whatever the main thread is just doing."""

import signal
import subprocess
import sys

import pytest

# The main thread stands where `stop.wait()` stands for an instant: it holds the event's lock.
_CAUGHT_WITH_THE_LOCK = """
import os, sys, threading
from cli.signals import stop_on_signals

stop = threading.Event()
stop_on_signals(stop)
with stop._cond:
    os.kill(os.getpid(), int(sys.argv[1]))
    for _ in range(1_000):
        pass
sys.exit(0 if stop.wait(10) else 1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_the_main_thread_holds_the_events_lock_stops_it(number: signal.Signals) -> None:
    command = [sys.executable, "-c", _CAUGHT_WITH_THE_LOCK, str(int(number))]

    ended = subprocess.run(command, timeout=20)

    assert ended.returncode == 0
