"""What nobody waits for, done by any sender at any time: safe to repeat, safe to do twice at once."""

from mailroom.services.recording import tell_left_over
from mailroom.storage import audiences
from mailroom.storage.database import Db, server_now


def tidy(db: Db) -> dict[str, int]:
    """Tell messages what their dispatches became where a crash came between; remove lists that were never finished.

    Returns what was done, by name; empty when there was nothing. Raises Unavailable.
    """
    done = {"dispatches_told": tell_left_over(db), "lists_removed": audiences.sweep(db, now=server_now(db))}
    return {name: count for name, count in done.items() if count}
