"""A sender says now and then which lanes it has in its hands, so that those in nobody's hands can be seen."""

import time

from mailroom.assembly import Back
from mailroom.services import draining
from sender.hands import Hands


class Presence:
    """For the pump's thread, at the end of a round that it completed: who gets nothing done says nothing."""

    def __init__(self, back: Back, hands: Hands, *, sender: str) -> None:
        self._back, self._hands, self._sender = back, hands, sender
        self._every_s = min(draining.CHECK_IN_S, back.settings.sending.lease_ttl_s)
        self._say_at = 0.0

    def check_in(self) -> None:
        """Raises Unavailable."""
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + self._every_s
            draining.check_in(self._back.db, self._sender, list(self._hands.tokens()))
