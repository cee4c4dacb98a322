"""SIGTERM and SIGINT as an event that a loop can wait for."""

import signal
import threading
from queue import SimpleQueue


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT set the event, and do nothing else. Call it in the main thread, after any fork.

    Python runs a handler in the main thread, between any two of its steps. Were it to set the event there, it would
    wait for ever when that thread is just inside `stop.wait()` and holds the event's lock. So a thread sets it;
    `SimpleQueue.put` is made to be called from anywhere.
    """
    received: SimpleQueue[int] = SimpleQueue()

    def set_it() -> None:
        received.get()
        stop.set()

    threading.Thread(target=set_it, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: received.put(got))
