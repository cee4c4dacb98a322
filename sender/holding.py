"""While MongoDB is an older copy of itself, nothing is begun: noticed every second, and said until it is put right."""

import time
from typing import Final

import structlog

from mailroom.assembly import Back
from mailroom.services import memory
from mailroom.services.memory import Hold, Sound

log = structlog.get_logger()
_CHECK_S: Final = 1.0
_SAY_AGAIN_S: Final = 30.0


class Holding:
    def __init__(self, back: Back) -> None:
        self._back = back
        self._check_at = self._said_at = 0.0
        self._held = False
        self.mark = 0  # how far MongoDB had come when it was last looked at
        self.remembers = False  # whether it keeps what fences knew when it was put right

    def look_anew(self) -> None:
        """Something was away, or contradicts itself: the next look is not put off."""
        self._check_at = 0.0

    def is_held(self) -> bool:
        """True while a person is to put MongoDB right. Raises Unavailable."""
        if time.monotonic() < self._check_at:
            return self._held
        found = memory.check(self._back.db, self._back.mirror)
        self._check_at = time.monotonic() + _CHECK_S
        if isinstance(found, Hold):
            self._say(found)
        elif self._held:
            log.info("mongodb_is_put_right")
        self._held = isinstance(found, Hold)
        if isinstance(found, Sound):
            self.mark, self.remembers = found.mark, found.remembers
        return self._held

    def _say(self, found: Hold) -> None:
        if self._held and time.monotonic() < self._said_at + _SAY_AGAIN_S:
            return
        self._said_at = time.monotonic()
        log.error("mongodb_was_restored", copied_at=found.copied_at, lost_at=found.lost_at, do="doctor --after-restore")
        memory.say_held(self._back.db)
