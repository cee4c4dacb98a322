"""The clock of the whole system is MongoDB's; a host's own clock is compared with it."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailroom.storage.database import Db
from mailroom.storage.database import server_now as _ask

_ASK_EVERY_S: Final = 0.5
MOST_OFF: Final = timedelta(seconds=2)


def server_now(db: Db) -> datetime:
    """MongoDB's server time. Raises Unavailable."""
    return _ask(db)


@dataclass(frozen=True, slots=True)
class Reading:
    """MongoDB's time, and the time by which this host's clock is ahead of it (negative: behind)."""

    now: datetime
    host_ahead: timedelta

    @property
    def trustworthy(self) -> bool:
        """False for a host that is more than two seconds off: it plans nothing."""
        return abs(self.host_ahead) <= MOST_OFF


class Clocks:
    """MongoDB's time, read at most twice a second; between readings, the time passed on the monotonic clock is added.

    The monotonic clock may stand still (a frozen machine) but never runs ahead, so the time may be late and is never
    early. Thread-safe.
    """

    def __init__(self, db: Db) -> None:
        self._db = db
        self._last: tuple[Reading, float] | None = None  # and the monotonic time of its answer; replaced together

    def read(self) -> Reading:
        """The time now, in whole milliseconds. Raises Unavailable."""
        last = self._last
        if last is None or time.monotonic() - last[1] > _ASK_EVERY_S:
            reading = read_clocks(self._db)
            self._last = (reading, time.monotonic())  # after the answer, so that never too much is added
            return reading
        reading, read_at = last
        now = reading.now + timedelta(seconds=time.monotonic() - read_at)
        return Reading(now.replace(microsecond=now.microsecond // 1000 * 1000), reading.host_ahead)


def read_clocks(db: Db) -> Reading:
    """Both clocks at the same moment, corrected by half the round trip. Raises Unavailable."""
    before, started = datetime.now(UTC), time.monotonic()
    now = _ask(db)
    half = timedelta(seconds=(time.monotonic() - started) / 2)
    ahead = before + half - now
    # The server read its time at an unknown point of the round trip, so a difference of up to half of it is forgiven.
    slack = min(half, abs(ahead))
    return Reading(now, ahead - slack if ahead > timedelta() else ahead + slack)
