"""The thread that asks the provider about doubts in the lanes that this process holds.

It is apart from the loop: a question takes as long as the provider takes.
"""

import random
import threading
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.services.reconciliation.reconcile import reconcile
from sender.in_flight import InFlight

log = structlog.get_logger()
_LOOK_S: Final = 1.0
_AWAY_S: Final = 2.0


class Reconciler:
    def __init__(self, services: SenderServices, in_flight: InFlight, *, sender: str) -> None:
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._stop = threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, *, within_s: float) -> None:
        """Ask nothing more. A question under way may end later, in vain: nothing was decided by it."""
        self._stop.set()
        self._thread.join(within_s)

    def step(self) -> bool:
        """One round of questions. True if there may be more at once. Raises Unavailable."""
        held = self._in_flight.tokens()
        if not held:
            return False
        services = self._services
        asked = reconcile(services.db, services.fences, services.adapters, held, services.policy, sender=self._sender)
        return asked > 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause_s = 0.0 if self.step() else _LOOK_S
            except Unavailable as error:
                log.warning("settler_waits", error=str(error))
                pause_s = _AWAY_S
            except Exception:
                # Every decision is one guarded write, so going on is sound; say it loudly.
                log.exception("settler_round_failed")
                pause_s = _AWAY_S
            self._stop.wait(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
