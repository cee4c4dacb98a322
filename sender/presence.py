"""Check in now and then with the lanes in this sender's hands, so that lanes in nobody's hands can be seen."""

import time

from mailroom.assembly import SenderServices
from mailroom.services.operations import undrained_lanes
from sender.in_flight import InFlight


class Presence:
    """For the loop's thread, at the end of each completed round: a sender that gets nothing done does not check in."""

    def __init__(self, services: SenderServices, in_flight: InFlight, *, sender: str) -> None:
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._every_s = min(undrained_lanes.CHECK_IN_S, services.settings.sending.lease_ttl_s)
        self._say_at = 0.0

    def check_in(self) -> None:
        """Raises Unavailable."""
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + self._every_s
            undrained_lanes.check_in(self._services.db, self._sender, list(self._in_flight.tokens()))
