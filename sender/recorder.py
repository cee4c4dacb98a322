"""The thread that writes down what came of calls, many at a time, for as long as it takes."""

import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

import structlog

from mailroom.assembly import Back
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane
from mailroom.services.recording import Result, record
from mailroom.services.server_time import server_now
from sender.hands import Hands

log = structlog.get_logger()
_AT_ONCE: Final = 500
_WAIT_S: Final = 0.5


class Recorder:
    """Results are handed in from any thread; none is dropped while this process lives. `stale` is called with lanes
    that a newer holder has."""

    def __init__(
        self, back: Back, hands: Hands, *, delays: Sequence[timedelta], stale: Callable[[Iterable[Lane]], None]
    ) -> None:
        self._back, self._hands, self._delays, self._stale = back, hands, delays, stale
        self._results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand_in(self, results: Iterable[Result]) -> None:
        for result in results:
            self._results.put(result)

    def finish(self, *, within_s: float) -> bool:
        """Write down all that was handed in. False if the stores were away for longer than the time given: then the
        fences, or their absence, tell the next holder."""
        self._results.put(None)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._next()
            while batch and not self._record(batch):
                time.sleep(_WAIT_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    def _next(self) -> tuple[list[Result], bool]:
        results = [self._results.get()]
        while len(results) < _AT_ONCE and not self._results.empty():
            results.append(self._results.get())
        return [result for result in results if result is not None], None in results

    def _record(self, batch: list[Result]) -> bool:
        back = self._back
        try:
            now = server_now(back.db)
            stale = record(back.db, back.fences, batch, provider=back.adapter.name, delays=self._delays, now=now)
        except Unavailable as error:
            log.warning("outcomes_wait", count=len(batch), error=str(error))
            return False
        except Exception:
            # Unknown: keep what came of the calls, and keep saying so, rather than lose it.
            log.exception("outcomes_not_written", count=len(batch))
            return False
        self._stale(stale)
        self._hands.note_activity({r.claimed.claim.lane for r in batch}, at=time.monotonic())
        self._hands.put_down(r.claimed.id for r in batch)
        return True
