"""The one rule that turns a local wall-clock time into an instant, on clock-change nights too.

A time that the clocks skip means the first instant after the jump; a time that occurs twice means its first pass.
Debian's cron treats jobs at a fixed time in this way (cron(8), "NOTES").
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_NEAR = timedelta(hours=25)  # no clock change is longer: Pacific/Apia skipped one day in 2011


def is_skipped(local: datetime, zone: ZoneInfo) -> bool:
    """True if no clock in the zone ever shows this naive local time."""
    there_and_back = local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there_and_back.replace(tzinfo=None) != local


def comes_twice(local: datetime, zone: ZoneInfo) -> bool:
    """True if clocks in the zone show this naive local time at two instants."""
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second and not is_skipped(local, zone)


def to_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant for a naive local time: the first pass, or the first instant after the jump that skips it."""
    if is_skipped(local, zone):
        return jump_after(local, zone)
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def both_passes(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Every instant at which clocks show this naive local time: none, one or two, in order."""
    if is_skipped(local, zone):
        return []
    passes = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(passes)


def jump_after(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the clocks jump over this skipped local time.

    Read with the offset after the jump, a skipped time lies before the jump; read with the offset before the jump, it
    lies after the jump. Exactly one change of offset is between the two: bisect.
    """
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    behind = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    old = before.astimezone(zone).utcoffset()
    while behind - before > timedelta(seconds=1):
        middle = (before + (behind - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            behind = middle
    return behind


def skipped_by(instant: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """The local times that the clocks skip at this instant, as [from, to); None without a forward jump."""
    earlier = (instant - timedelta(seconds=1)).astimezone(zone)
    local = instant.astimezone(zone).replace(tzinfo=None)
    expected = earlier.replace(tzinfo=None) + timedelta(seconds=1)
    return (expected, local) if local > expected else None


def once_each(locals_: Iterable[datetime], zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Instants after `after` for ascending naive times of day: each runs once a day."""
    last = after
    for local in locals_:
        instant = to_instant(local, zone)
        # Several skipped times mean the same instant, and the search may begin before `after`.
        if instant > last:
            last = instant
            yield instant


def at_every_pass(locals_: Iterable[datetime], zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Instants after `after` for ascending naive times that mean 'whenever clocks show this': by elapsed time."""
    second_passes: list[datetime] = []  # delayed until all first passes of their hour have been yielded
    for local in locals_:
        passes = both_passes(local, zone)
        while second_passes and (not passes or second_passes[0] < passes[0]):
            yield second_passes.pop(0)
        second_passes += [late for late in passes[1:] if late > after]
        if passes and passes[0] > after:
            yield passes[0]
    yield from second_passes


def search_start(after: datetime, zone: ZoneInfo) -> datetime:
    """A naive local time before which every time has all its instants at or before `after`.

    That is `after` in local time, moved back by the change of offset if a clock change is near: in a doubled hour
    earlier local times occur again.
    """
    offsets = [(after + shift).astimezone(zone).utcoffset() or timedelta() for shift in (-_NEAR, timedelta(), _NEAR)]
    local = after.astimezone(zone).replace(tzinfo=None)
    return local - (max(offsets) - min(offsets))
