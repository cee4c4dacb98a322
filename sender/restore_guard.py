"""Check every second whether this sender must hold: because MongoDB is an older copy of itself (which is logged until a
person puts it right), or because sending is stopped or runs are paused."""

import threading
import time
from collections.abc import Iterable
from typing import Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import RunId
from mailroom.services.common import sending_switch
from mailroom.services.common.sending_switch import NOTHING_HELD
from mailroom.services.operations import restore
from mailroom.services.operations.restore import Healthy, OlderCopy

log = structlog.get_logger()
_CHECK_S: Final = 1.0
_SAY_AGAIN_S: Final = 30.0


class RestoreGuard:
    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._check_at = self._said_at = 0.0
        self._held = False
        self.mark = 0  # how far MongoDB had come when it was last looked at
        self.on_hold = NOTHING_HELD  # as of the last check; claims and fences check for themselves
        self._refused: set[RunId] = set()  # runs whose fences have refused since
        self._lock = threading.Lock()
        self.remembers = False  # whether it keeps what fences knew when it was put right

    def look_anew(self) -> None:
        """Something was away, or contradicts itself: the next look is not put off."""
        self._check_at = 0.0

    def refused(self, run_ids: Iterable[RunId]) -> None:
        """Note that fences refused these runs because of a hold: it is then compared in both stores. Thread-safe."""
        with self._lock:
            self._refused.update(run_ids)
        self._check_at = 0.0

    def is_held(self) -> bool:
        """True while a person is to put MongoDB right. Raises Unavailable."""
        if time.monotonic() < self._check_at:
            return self._held
        found = restore.check(self._services.db, self._services.mirror)
        self._check_at = time.monotonic() + _CHECK_S
        if isinstance(found, OlderCopy):
            self._say(found)
        elif self._held:
            log.info("mongodb_is_put_right")
        self._held = isinstance(found, OlderCopy)
        if isinstance(found, Healthy):
            self.mark, self.remembers = found.mark, found.remembers
            self._look_at_holds()
        return self._held

    def _look_at_holds(self) -> None:
        with self._lock:
            refused, self._refused = self._refused, set()
        try:
            sending_switch.agree_on_runs(self._services.db, self._services.holds, refused)
            was, self.on_hold = self.on_hold, sending_switch.look(self._services.db, self._services.holds)
        except Unavailable:
            self.refused(refused)
            raise
        if was.everything != self.on_hold.everything:
            log.warning("sending_is_stopped" if self.on_hold.everything else "sending_goes_on")

    def _say(self, found: OlderCopy) -> None:
        if self._held and time.monotonic() < self._said_at + _SAY_AGAIN_S:
            return
        self._said_at = time.monotonic()
        log.error("mongodb_was_restored", copied_at=found.copied_at, lost_at=found.lost_at, do="doctor --after-restore")
        restore.say_held(self._services.db)
