"""Notice a MongoDB that was restored from an older copy, so that all senders hold.

Senders raise a mark in MongoDB continually and mirror it to Redis. If MongoDB's mark is below the mirrored mark, all
later writes are lost. A backup that was put back says so by itself, too. `restore.py` repairs it.
"""

from dataclasses import dataclass
from datetime import datetime

from mailroom.coordination.mirror import Mark, Mirror
from mailroom.storage.cluster import restore_mark
from mailroom.storage.cluster.restore_mark import Healthy
from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class OlderCopy:
    """MongoDB is an older copy: it has lost all writes after `copied_at`, up to `lost_at` and maybe a moment longer.
    `copied_at` is None if the copy is older than any mark. `reached`: the mark that the lost database had reached."""

    copied_at: datetime | None
    lost_at: datetime
    reached: int


def look(db: Db, mirror: Mirror) -> OlderCopy | int:
    """The OlderCopy if MongoDB is one, else MongoDB's mark. Changes nothing. Raises Unavailable.

    Redis is read first: MongoDB had reached every mark that Redis shows.
    """
    mirrored = mirror.read()
    number, at, lost = restore_mark.mark_and_lost(db)
    known = [(before.number, before.at) for before in (mirrored, lost) if before is not None]
    reached, lost_at = max(known, default=(0, None))
    if lost_at is not None and number < reached:
        return OlderCopy(at, lost_at, reached)
    return number


def check(db: Db, mirror: Mirror) -> OlderCopy | Healthy:
    """The OlderCopy if MongoDB is one; else its mark, raised and mirrored. Raises Unavailable."""
    state = look(db, mirror)
    if isinstance(state, OlderCopy):
        return state
    raised = restore_mark.raise_mark(db)
    mirror.raise_to(Mark(raised.number, raised.at))
    return Healthy(raised.number, raised.remembers, raised.restored_at)


def note_held(db: Db, *, held: bool) -> None:
    """Note whether senders hold, for the API, the pages and the janitor. Raises Unavailable."""
    restore_mark.note_held(db, held)
