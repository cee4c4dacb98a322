"""The thread that asks the provider about dispatches in doubt in the held lanes.

It is separate from the loop, because a question takes as long as the provider takes.
"""

import random
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.services.common.clock import Clocks
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.reconciliation.reconcile import reconcile
from sender.in_flight import InFlight

log = structlog.get_logger()
_LOOK_S: Final = 1.0
_AWAY_S: Final = 2.0


class Reconciler:
    """`clocks`: shared with the loop, so that MongoDB's time is read once for both. `resting`: True while no dispatch
    is in doubt; then nothing is asked."""

    def __init__(
        self,
        services: SenderServices,
        in_flight: InFlight,
        clocks: Clocks,
        *,
        resting: Callable[[], bool],
        sender: str,
    ) -> None:
        self._services, self._in_flight, self._clocks, self._sender = services, in_flight, clocks, sender
        self._resting = resting
        self._stop = threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, *, within_s: float) -> None:
        """Ask nothing more. A question under way may be cut off: it has decided nothing."""
        self._stop.set()
        self._thread.join(within_s)

    def step(self) -> bool:
        """Ask one round of questions. True if there may be more to ask at once. Raises Unavailable."""
        held = self._in_flight.tokens()
        if not held or self._resting():
            return False
        services = self._services
        work = LaneWork(services.db, services.fences, held, self._sender)
        return reconcile(work, services.adapters, services.policy, now=self._clocks.read().now) > 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause_s = 0.0 if self.step() else _LOOK_S
            except Unavailable as error:
                log.warning("reconciler_waits", error=str(error))
                pause_s = _AWAY_S
            except Exception:
                # Every decision is one guarded write, so it is safe to go on.
                log.exception("reconciler_round_failed")
                pause_s = _AWAY_S
            self._stop.wait(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
