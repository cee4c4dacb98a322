"""Delivery in each recipient's own time: one wall time, and the instants at which it comes, zone by zone.

The recipients of such a run are divided into slices: one for each instant at which the wall time comes in some of their
zones. Where clocks skip the wall time it comes right after the jump, where they show it twice, the first time: as
everywhere (see recurrence/wallclock.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import available_timezones

from mailroom.domain.ids import short_digest
from mailroom.domain.instants import compact, to_instant
from mailroom.domain.recurrence import wallclock, zones

#: The reason of a mail whose slice was over by more than the grace when its run was decided.
TIME_HAD_PASSED: Final = "the time had passed in the recipient's time zone"


class DeliveryTime(StrEnum):
    SCHEDULE_TIME = "schedule_time"  # everybody at the due instant
    RECIPIENT_TIME = "recipient_time"  # everybody when their own clocks show its wall time


@lru_cache(maxsize=8_192)
def instant_in(time_zone: str, wall: datetime) -> datetime | None:
    """When clocks of this zone show the naive time `wall`. None for a zone that is not known, or no more."""
    zone = zones.find(time_zone)
    return to_instant(wallclock.to_instant(wall, zone)) if zone else None


@lru_cache(maxsize=64)
def instants_anywhere(wall: datetime) -> tuple[datetime, ...]:
    """Every instant at which the wall time comes in some zone of the world, in order: some 40 within 26 hours."""
    return tuple(sorted({at for _, at in _by_zone(wall)}))


def first_and_last(wall: datetime, time_zones: Iterable[str], *, default_zone: str) -> tuple[datetime, datetime]:
    """When the wall time comes first, and last, in these zones. Without any, in the default zone."""
    instants = {_instant(name, wall, default_zone) for name in time_zones} or {_instant("", wall, default_zone)}
    return min(instants), max(instants)


@dataclass(frozen=True, slots=True)
class RecipientTime:
    """What is fixed when a run is decided that goes out in each recipient's own time.

    `wall`: the naive time of its due instant in the schedule's zone. `default_zone`: for contacts without a zone, or
    with one that is not known. `starts_at`: when the run began; its audiences are pinned as of then. `late_before`:
    who had the wall time before this gets nothing.
    """

    wall: datetime
    default_zone: str
    starts_at: datetime
    late_before: datetime

    def slice_of(self, time_zone: str) -> datetime:
        """The instant at which a recipient of this zone is to get the mail."""
        return _instant(time_zone, self.wall, self.default_zone)

    def is_late(self, time_zone: str) -> bool:
        """True for a recipient whose time had passed by more than the grace when the run was decided."""
        return self.slice_of(time_zone) < self.late_before

    @property
    def division(self) -> str:
        """Names the division of contacts into slices. Equal names divide a list alike: another release of the time
        zone database may move a zone to another slice, and then has another name."""
        return _division(self.wall, self.default_zone)


@lru_cache(maxsize=4_096)
def slice_name(slice_: datetime) -> str:
    """Names a slice among those of its run. In the order of names slices are in the order of time."""
    return compact(slice_)


def _instant(time_zone: str, wall: datetime, default_zone: str) -> datetime:
    found = (time_zone and instant_in(time_zone, wall)) or instant_in(default_zone, wall)
    if found is None:
        raise LookupError(f"the time zone {default_zone} is not known")
    return found


@lru_cache(maxsize=64)
def _division(wall: datetime, default_zone: str) -> str:
    return short_digest(default_zone, *(f"{name}={compact(at)}" for name, at in _by_zone(wall)))


@lru_cache(maxsize=64)
def _by_zone(wall: datetime) -> tuple[tuple[str, datetime], ...]:
    instants = ((name, instant_in(name, wall)) for name in sorted(available_timezones()))
    return tuple((name, at) for name, at in instants if at is not None)
