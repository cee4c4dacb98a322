"""Check every second, or once a rest (five seconds at most) without work, whether this sender must hold: because
MongoDB was restored from an older copy, or because sending is stopped or runs are paused. A restored MongoDB is logged
until a person has repaired it."""

import threading
import time
from collections.abc import Iterable
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import RunId
from mailroom.services.common import hold_mirror
from mailroom.services.common.hold_mirror import NOTHING_HELD
from mailroom.services.operations import older_copy
from mailroom.services.operations.older_copy import OlderCopy
from mailroom.storage.cluster.restore_mark import NEVER_RESTORED

log = structlog.get_logger()
_CHECK_S: Final = 1.0
_LOG_AGAIN_S: Final = 30.0


class RestoreGuard:
    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._check_at = self._logged_at = 0.0
        self._asked = self._answered = 0  # checks that were asked for; those asked for before the last check began
        self._held = False
        # Of the last check that found MongoDB healthy; replaced whole: the planner reads it.
        self.seen = NEVER_RESTORED
        self.on_hold = NOTHING_HELD  # as of the last check; replaced whole; claims and fences check for themselves
        self._refused: set[RunId] = set()  # runs whose fences have refused since the last check
        self._lock = threading.Lock()

    def recheck(self) -> None:
        """Make the next check due at once: a store was away, or the stores contradict each other. Nothing is planned
        until it is done. Thread-safe."""
        with self._lock:
            self._asked += 1

    def refused(self, run_ids: Iterable[RunId]) -> None:
        """Note that fences refused these runs because of a hold: the next check compares it in both stores.
        Thread-safe."""
        with self._lock:
            self._refused.update(run_ids)
            self._asked += 1

    def is_held(self) -> bool:
        """True while a restored MongoDB waits for a person to repair it. Raises Unavailable."""
        if time.monotonic() < self._check_at and self._answered == self._asked:
            return self._held
        asked = self._asked  # who asks during the check wants another one
        self._check()
        self._answered = asked
        return self._held

    @property
    def is_fresh(self) -> bool:
        """True if the last check is less than two seconds old, found no older copy, and nobody has asked for another
        since. Thread-safe."""
        return not self._held and self._answered == self._asked and time.monotonic() < self._check_at + _CHECK_S

    def _check(self) -> None:
        """Check both stores, and keep what they say. The planner reads `is_fresh` and `seen` in its own thread. So a
        hold is set before it is noted anywhere, and lifted only when `seen` is the healthy state."""
        state = older_copy.check(self._services.db, self._services.mirror)
        if isinstance(state, OlderCopy):
            self._held = True
            self._check_at = time.monotonic() + _CHECK_S
            self._log(state)
            return
        if self._held:
            # Our note that senders hold may have come after the word of the person who put it right.
            older_copy.note_held(self._services.db, held=False)
            log.info("mongodb_is_put_right")
            self._logged_at = 0.0  # the next older copy is logged and noted at once
        self.seen = state
        self._held = False
        self._check_at = time.monotonic() + _CHECK_S
        self._check_holds()

    def _check_holds(self) -> None:
        with self._lock:
            refused, self._refused = self._refused, set()
        try:
            hold_mirror.agree_on_runs(self._services.db, self._services.holds, refused)
            was, self.on_hold = self.on_hold, hold_mirror.look(self._services.db, self._services.holds)
        except Unavailable:
            self.refused(refused)
            raise
        if was.everything != self.on_hold.everything:
            log.warning("sending_is_stopped" if self.on_hold.everything else "sending_goes_on")

    def _log(self, copy: OlderCopy) -> None:
        if self._logged_at and time.monotonic() < self._logged_at + _LOG_AGAIN_S:
            return
        log.error("mongodb_was_restored", copied_at=copy.copied_at, lost_at=copy.lost_at, do="doctor --after-restore")
        older_copy.note_held(self._services.db, held=True)
        self._logged_at = time.monotonic()
