"""Background maintenance. Any sender may run it, repeatedly and concurrently."""

from datetime import timedelta

from mailroom.services.dispatching.propagation import finish_left_over, propagate_left_over
from mailroom.storage import retention
from mailroom.storage.database import Db, server_now
from mailroom.storage.mails import bodies
from mailroom.storage.schedules import audiences


def tidy(db: Db, *, trails_kept_for: timedelta) -> dict[str, int]:
    """Tell messages what their dispatches became, and finish runs, where a crash came between; remove lists that were
    never finished, files that no mail names, and trails whose time is over.

    Returns what was done, by name; empty when there was nothing. Raises Unavailable.
    """
    now = server_now(db)
    done = {
        "dispatches_told": propagate_left_over(db),
        "runs_finished": finish_left_over(db, now=now),
        "lists_removed": audiences.sweep(db, now=now),
        "files_removed": bodies.sweep(db, now=now),
        "trails_cut": retention.cut_trails(db, made_before=now - trails_kept_for),
    }
    return {name: count for name, count in done.items() if count}
