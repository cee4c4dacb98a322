"""Check in periodically: who this sender is, the lanes that it holds, and what it has in flight."""

import time

from mailroom.assembly.sender import SenderServices
from mailroom.domain.workers import CHECK_IN_S, Activity, WorkerKind
from mailroom.services.operations.check_ins import CheckIns
from sender.in_flight import InFlight


class Presence:
    """For the loop's thread, after each completed round: a sender that completes no round does not check in. While it
    drains, there are no rounds any more, and it checks in all the same."""

    def __init__(self, services: SenderServices, in_flight: InFlight, *, sender: str) -> None:
        self._in_flight = in_flight
        self._every_s = min(CHECK_IN_S, services.settings.sending.lease_ttl_s)
        self._check_ins = CheckIns(
            services.db, WorkerKind.SENDER, sender, look=self._while_draining, every_s=self._every_s
        )
        self._check_in_at = 0.0
        self._draining = False

    def start(self) -> None:
        self._check_ins.start()

    def check_in(self) -> None:
        """Check in if it is due. Never waits for MongoDB."""
        if time.monotonic() >= self._check_in_at:
            self._check_in_at = time.monotonic() + self._every_s
            self._check_ins.hand_in(Activity(list(self._in_flight.tokens()), self._in_flight.in_hand()))

    def drain(self) -> None:
        """From now on check in without rounds, and without lanes: nothing more is claimed in any."""
        self._draining = True

    def leave(self) -> None:
        """Say that this sender has ended. Waits a few seconds at most."""
        self._check_ins.leave()

    def _while_draining(self) -> Activity | None:
        return Activity(in_flight=self._in_flight.in_hand()) if self._draining else None
