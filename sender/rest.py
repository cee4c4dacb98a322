"""How long the loop pauses after a round that found nothing to do."""

import time
from datetime import timedelta
from typing import Final

from mailroom.assembly.sender import SenderServices
from mailroom.services.common.clock import Clocks
from mailroom.services.dispatching.lanes import may_want_work_until
from sender.change_watch import ChangeWatch
from sender.in_flight import InFlight
from sender.lanes import AHEAD
from sender.restore_guard import RestoreGuard

_BETWEEN_ROUNDS_S: Final = 0.05
_QUIET_AFTER_S: Final = 1.0
_QUIET_S: Final = 0.25
_REST_S: Final = 5.0
_WHOLE_ROUND_S: Final = 12.0  # after this, at the end of the rest under way, a round looks for work in all its ways
_ASK_AGAIN_S: Final = 1.0  # after the answer that work may come, or ten times as long as the answer took


class Rest:
    """The pause after a round without work. Rounds come 20 times a second for a second after work, and while a
    schedule's lane is held; after that four times. If nothing comes due within the rest (five seconds, or the lease
    time if that is shorter), the loop pauses for all of it: a change of what holds work ends the pause (see
    change_watch.py). The rest then goes on from round to round with one question each, and such a round looks for no
    work; two or three rests later a whole round does.

    For the loop's thread, except `resting`.
    """

    def __init__(
        self, services: SenderServices, in_flight: InFlight, guard: RestoreGuard, clocks: Clocks, watch: ChangeWatch
    ) -> None:
        self._db, self._in_flight, self._guard = services.db, in_flight, guard
        self._clocks, self._watch = clocks, watch
        # A sender without a round for three lease times counts as stuck.
        lease_ttl_s = services.settings.sending.lease_ttl_s
        self._rest_s = min(_REST_S, lease_ttl_s)
        # Whole rounds compare keys and lanes: within lease time + 5 s, work or none, no lane is in nobody's hands.
        self._whole_round_s = min(_WHOLE_ROUND_S, lease_ttl_s + self._rest_s / 2)
        self._worked_at = time.monotonic()
        self._ask_at = self._rest_until = self._whole_round_at = 0.0
        self._goes_on = False
        self.resting = False  # thread-safe

    def goes_on(self) -> bool:
        """A round begins. True if the rest goes on in it: nothing has changed since the rest began, and nothing comes
        due in the next one. Raises Unavailable."""
        rested, self.resting, self._goes_on = self.resting, False, False  # a round that fails ends the rest
        if rested and self._watch.watching and time.monotonic() < self._whole_round_at:
            self._goes_on = not self._may_want_work()
        return self._goes_on

    def note_work(self) -> None:
        """The last round did something."""
        self._worked_at = time.monotonic()

    def pause_s(self) -> float:
        """Seconds until the next round, after one that did nothing. Raises Unavailable."""
        if self._in_flight.schedules() or time.monotonic() - self._worked_at < _QUIET_AFTER_S:
            return _BETWEEN_ROUNDS_S
        self.resting = self._may_rest()
        return max(0.0, self._rest_until - time.monotonic()) if self.resting else _QUIET_S

    def _may_rest(self) -> bool:
        """True if nothing comes due before the rest is over; not asked again where the rest goes on. It is asked in a
        round after the one in which the watch began: a change just before it wakes nobody, and a majority may not have
        it yet."""
        if not self._guard.is_fresh or self._guard.on_hold.everything or self._in_flight.in_hand():
            return False
        if self._goes_on:
            return self._watch.watching
        if time.monotonic() < self._ask_at or self._may_want_work():
            return False
        if self._watch.watching:
            self._whole_round_at = time.monotonic() + self._whole_round_s
            return True
        self._watch.begin()
        return False

    def _may_want_work(self) -> bool:
        """True if work may come before a rest that begins now is over. Then it is not asked again for a while."""
        began = time.monotonic()
        self._rest_until = began + self._rest_s
        until = self._clocks.read().now + timedelta(seconds=self._rest_s)
        if not may_want_work_until(self._db, until, ahead=AHEAD):
            return False
        took_s = time.monotonic() - began
        self._ask_at = began + max(_ASK_AGAIN_S, 10 * took_s)
        return True
