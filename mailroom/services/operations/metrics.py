"""Figures for operators: whether MongoDB takes writes, the reason why senders hold, and counts by state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mailroom.domain.holds import EVERYTHING
from mailroom.storage import holds, server_parameters
from mailroom.storage.cluster import ledger_runs, restore_mark, write_check
from mailroom.storage.database import Db
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.schedules import schedules


def check_store(db: Db) -> None:
    """Check that MongoDB takes a write. Raises TakesNoWrites, Unavailable."""
    write_check.check_writes(db)


def why_senders_hold(db: Db) -> str:
    """The reason why senders hold although the stores are healthy; '' if they do not hold. It names no person, because
    anybody may read it. Raises Unavailable."""
    if restore_mark.is_held(db):
        return "MongoDB was put back to an older copy: senders hold"
    return "All sending was stopped by a person" if holds.get(db, EVERYTHING).held else ""


def transaction_lifetime_s(db: Db) -> int | None:
    """The seconds for which an open transaction of a killed sender locks its lanes; None if MongoDB does not tell."""
    return server_parameters.transaction_lifetime_s(db)


def long_history_s(db: Db) -> int | None:
    """The seconds for which MongoDB keeps what was, if they slow the look for what is due down; else None."""
    kept_s = server_parameters.history_s(db)
    return kept_s if kept_s is not None and kept_s > server_parameters.LONG_HISTORY_S else None


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """The state of the system. `held`: senders hold because MongoDB is an older copy. `stopped`: a person has stopped
    all sending. `paused`: the number of paused runs. `ledger_at`, `ledger_wrong`: the time of the newest ledger, None
    without a ledger, and its imbalances."""

    held: bool
    stopped: bool
    paused: int
    ledger_at: datetime | None
    ledger_wrong: int


def standing(db: Db) -> SystemHealth:
    """The state of the system now. Raises Unavailable."""
    newest = ledger_runs.newest_ledger(db)
    on_hold = holds.standing(db)
    stops = (on_hold.everything, len(on_hold.runs))
    return SystemHealth(restore_mark.is_held(db), *stops, newest[0] if newest else None, newest[1] if newest else 0)


def counts(db: Db) -> dict[str, Mapping[str, int]]:
    """The numbers of schedules, and of open dispatches, by state. Raises Unavailable."""
    return {"schedules": schedules.count_by_state(db), "dispatches": dispatch_queries.count_open(db)}
