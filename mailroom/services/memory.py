"""Is MongoDB the one that it was? A MongoDB that was put back to an older copy is noticed, held, and put right.

Senders raise a mark in MongoDB every moment and mirror it in Redis. A mark in MongoDB below the mirrored one means that
what was written since is forgotten: dispatches that went out stand as waiting. Their fences would stop them, but the
instants in between must be planned again, not decided by the misfire rule, and tokens must go on growing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.coordination.mirror import Mark, Mirror
from mailroom.domain.dispatches import FenceState
from mailroom.services.recording import tell_left_over
from mailroom.storage import cluster, dispatch_outcomes
from mailroom.storage.database import Db

log = structlog.get_logger()
_EPOCH_BITS: Final = 40
# What was due after the last mark may have been decided still: it is planned as on time rather than dropped.
_AFTER_THE_LAST_MARK: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Hold:
    """MongoDB is an older copy: it knows nothing of what happened after `copied_at`, up to `lost_at` and maybe a
    moment longer. None where the copy is older than any mark."""

    copied_at: datetime | None
    lost_at: datetime


def look(db: Db, mirror: Mirror) -> Hold | int:
    """A Hold if MongoDB is an older copy; else its mark. Changes nothing. Raises Unavailable.

    Redis is read first: whatever it shows, MongoDB had reached before.
    """
    mirrored = mirror.read()
    number, at = cluster.mark(db)
    if mirrored is not None and number < mirrored.number:
        return Hold(at, mirrored.at)
    return number


def check(db: Db, mirror: Mirror) -> Hold | int:
    """A Hold if MongoDB is an older copy; else its mark, raised and mirrored. Raises Unavailable."""
    found = look(db, mirror)
    if isinstance(found, Hold):
        return found
    raised, now = cluster.raise_mark(db)
    mirror.raise_to(Mark(raised, now))
    return raised


def say_held(db: Db) -> None:
    """Let API and pages show that senders hold. Raises Unavailable."""
    cluster.note_held(db, True)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put right after a restore."""

    hold: Hold
    fences: int
    accepted: int  # dispatches that the copy did not know to be accepted
    unknown_to_copy: (
        int  # accepted dispatches that the copy does not know at all: they are planned again, and recognised
    )


def after_restore(db: Db, mirror: Mirror) -> Restored | None:
    """Put a restored MongoDB right and end the hold; None if it is not an older copy. May be repeated.

    Replays the fences, raises the tokens' epoch above all that was ever seen, and has the forgotten instants planned.
    Raises Unavailable; then the hold stands.
    """
    hold, mirrored = look(db, mirror), mirror.read()
    if not isinstance(hold, Hold) or mirrored is None:
        return None
    fences = accepted = missing = 0
    for some in mirror.fences():
        done = [(id_, fence) for id_, fence in some if fence.state is FenceState.DONE]
        changed, known = dispatch_outcomes.replay_accepted(db, done)
        fences, accepted, missing = fences + len(some), accepted + changed, missing + len(done) - known
    while tell_left_over(db):
        pass
    cluster.raise_epoch(db, mirror.highest_token() >> _EPOCH_BITS)
    since = hold.copied_at or datetime.min.replace(tzinfo=hold.lost_at.tzinfo)
    cluster.set_replay(db, since, hold.lost_at + _AFTER_THE_LAST_MARK)
    cluster.raise_mark(db, mirrored.number)
    cluster.note_held(db, False)
    log.info("mongodb_put_right", fences=fences, accepted=accepted, unknown_to_copy=missing)
    return Restored(hold, fences, accepted, missing)
