"""Figures for operators: whether the store takes writes, why senders hold, and how many things are in each state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mailroom.domain.holds import EVERYTHING
from mailroom.storage import database, holds
from mailroom.storage.cluster import ledger_runs, restore_mark, write_check
from mailroom.storage.database import Db
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.schedules import schedules


def check_store(db: Db) -> None:
    """Raises TakesNoWrites, Unavailable when MongoDB does not take a write."""
    write_check.check_writes(db)


def why_senders_hold(db: Db) -> str:
    """Why nothing is sent though the stores are well, without names, for anybody may read it. '' if senders go on.
    Raises Unavailable."""
    if restore_mark.is_held(db):
        return "MongoDB was put back to an older copy: senders hold"
    return "All sending was stopped by a person" if holds.get(db, EVERYTHING).held else ""


def transaction_lifetime_s(db: Db) -> int | None:
    """For how long a killed sender's open transaction keeps its lanes locked; None where MongoDB does not tell us."""
    return database.transaction_lifetime_s(db)


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """Whether senders hold because MongoDB is an older copy, whether a person has stopped all sending, how many runs
    are paused, and how the newest ledger came out."""

    held: bool
    stopped: bool
    paused: int
    ledger_at: datetime | None
    ledger_wrong: int


def standing(db: Db) -> SystemHealth:
    """Raises Unavailable."""
    newest = ledger_runs.newest_ledger(db)
    on_hold = holds.standing(db)
    stops = (on_hold.everything, len(on_hold.runs))
    return SystemHealth(restore_mark.is_held(db), *stops, newest[0] if newest else None, newest[1] if newest else 0)


def counts(db: Db) -> dict[str, Mapping[str, int]]:
    """Schedules by state, and dispatches that are not through by state. Raises Unavailable."""
    return {"schedules": schedules.count_by_state(db), "dispatches": dispatch_queries.count_open(db)}
