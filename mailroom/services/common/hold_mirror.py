"""Keep holds the same in MongoDB and Redis.

MongoDB is written first, then Redis. Claims read MongoDB in their own transaction, fences are crossed by a script that
reads Redis: once a hold is in both stores, nothing passes. A hold that only one of the two stores has holds too.
"""

from collections.abc import Collection
from dataclasses import dataclass

import structlog

from mailroom.coordination.holds import Holds
from mailroom.domain.errors import Unavailable
from mailroom.domain.holds import EVERYTHING, FORGOTTEN, Hold, number_after_loss
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.storage import holds
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.holds import NOTHING_HELD, OnHold
from mailroom.storage.schedules import open_runs, run_moves

__all__ = ["NOTHING_HELD", "OnHold"]  # for senders

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Agreed:
    """A hold, as both stores have it, and the identity of the Redis that has it. Without Redis it is MongoDB's."""

    hold: Hold
    redis_identity: str | None


def look(db: Db, mirror: Holds) -> OnHold:
    """Make the switch the same in both stores, and return all holds. Raises Unavailable.

    As in `agree`, Redis is read first. Where both stores agree, which is nearly always, one query is enough.
    """
    try:
        mirrored, _ = mirror.read(EVERYTHING)
    except Unavailable as error:
        log.warning("hold_not_read", hold=EVERYTHING, error=str(error))
        return holds.standing(db)
    switch, on_hold = holds.switch_and_standing(db)
    if switch.number == mirrored.number:
        return on_hold
    agree(db, mirror, EVERYTHING)
    return holds.standing(db)


def agree(db: Db, mirror: Holds, id_: str, *, of: ScheduleId | None = None) -> Agreed:
    """Make a hold the same in both stores. `of`: the schedule, if it is the hold of a run. Raises Unavailable.

    Redis is read first: MongoDB had every number that Redis shows, unless MongoDB was put back to an older copy.
    """
    try:
        mirrored, redis_identity = mirror.read(id_)
    except Unavailable as error:
        log.warning("hold_not_read", hold=id_, error=str(error))
        return Agreed(holds.get(db, id_), redis_identity=None)
    stored = holds.get(db, id_)
    if mirrored.number > stored.number:
        newer = Hold(id_, number_after_loss(stored.number, mirrored.number), mirrored.by or FORGOTTEN, mirrored.at)
        log.error("hold_was_forgotten", hold=id_, held=newer.held, by=newer.by, at=newer.at)
        holds.adopt(db, stored, newer, of=of)
        stored = holds.get(db, id_)
    if stored.number > mirrored.number:
        return Agreed(stored, mirror_or_say(mirror, stored))
    return Agreed(stored, redis_identity)


def agree_on_runs(db: Db, mirror: Holds, run_ids: Collection[RunId]) -> None:
    """Make the holds of runs the same in both stores: either MongoDB adopts the hold, or Redis learns that it was
    lifted.

    For runs whose fences refused, and before a hold is changed. Raises Unavailable.
    """
    for run_id, schedule_id in open_runs.open_among(db, run_ids).items():
        hold = agree(db, mirror, run_id, of=schedule_id).hold

        def work(session: Session, run_id: RunId = run_id, hold: Hold = hold) -> None:
            if holds.held_among(db, [run_id], session=session):  # the run may have been resumed since
                run_moves.mark_paused(db, [run_id], by=hold.by, now=hold.at, session=session)

        if hold.held:
            in_transaction(db, work)


def mirror_or_say(mirror: Holds, hold: Hold) -> str | None:
    """Mirror a hold to Redis. Returns the identity of the Redis that has it now. None, and a log line, if Redis is
    away: no fence can be crossed then, and senders mirror the hold as soon as Redis answers."""
    try:
        return mirror.mirror(hold)
    except Unavailable as error:
        log.warning("hold_not_mirrored", hold=hold.id, held=hold.held, error=str(error))
        return None
