"""Collection `cluster`: the level of detail in the logs of all processes, as a person has chosen it.

_id         'log_level'
level       a word of services/operations/log_level.py
until       the end of the choice; afterwards each process goes by its own setting again
by          who chose it
"""

from dataclasses import dataclass
from datetime import datetime

from mailroom.storage.database import Db, guarded


@dataclass(frozen=True, slots=True)
class ChosenLevel:
    """A level that holds until a time."""

    level: str
    until: datetime
    by: str


@guarded
def choose(db: Db, chosen: ChosenLevel) -> None:
    facts = {"level": chosen.level, "until": chosen.until, "by": chosen.by}
    db.cluster.replace_one({"_id": "log_level"}, facts, upsert=True)


@guarded
def forget(db: Db) -> None:
    """End the choice. No change if there is none."""
    db.cluster.delete_one({"_id": "log_level"})


@guarded
def chosen(db: Db) -> ChosenLevel | None:
    """The newest choice, which may be over; None if there is none."""
    doc = db.cluster.find_one({"_id": "log_level"})
    return ChosenLevel(doc["level"], doc["until"], doc["by"]) if doc else None
