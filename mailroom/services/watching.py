"""What operators watch: is the store there, and how many things are in which state."""

from collections.abc import Mapping

from mailroom.storage import database, dispatches, schedules
from mailroom.storage.database import Db, server_now


def check_store(db: Db) -> None:
    """Raises Unavailable when MongoDB does not answer."""
    server_now(db)


def transaction_lifetime_s(db: Db) -> int | None:
    """For how long a killed sender's open transaction keeps its lanes locked; None where MongoDB does not tell us."""
    return database.transaction_lifetime_s(db)


def counts(db: Db) -> dict[str, Mapping[str, int]]:
    """Schedules by state, and dispatches that are not through by state. Raises Unavailable."""
    return {"schedules": schedules.count_by_state(db), "dispatches": dispatches.count_open(db)}
