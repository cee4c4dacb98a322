"""Collection `providers`: what a person has set at run time; a provider without a document is as the settings have it.

    _id        name
    enabled    false: it gets no new work; what it has in doubt is still asked about
    position   int, its place in the order; the settings' order where it is absent
    changed_by, changed_at
    fault      {why, since, at}: why it takes nothing, and when a sender last noted that; over FAULT_LASTS after `at`.
               Absent where no sender has noted any

Written by API, pages and commands, faults by senders; read by senders every moment.

Indexes: none; there are a handful.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import IndexModel, UpdateOne

from mailroom.storage.database import Db, guarded

COLLECTION: Final = "providers"
INDEXES: Final[Sequence[IndexModel]] = ()


FAULT_LASTS: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class ProviderFault:
    """Why a provider takes nothing from us, and since when."""

    why: str
    since: datetime


@dataclass(frozen=True, slots=True)
class ProviderStanding:
    """A provider's place in the order, and whether it gets new work."""

    name: str
    enabled: bool


@guarded
def standings(db: Db, configured: Sequence[str]) -> list[ProviderStanding]:
    """The configured providers in the order in force."""
    stored: Mapping[str, Any] = {doc["_id"]: doc for doc in db.providers.find()}
    placed = [(stored.get(name, {}).get("position", place), place, name) for place, name in enumerate(configured)]
    return [ProviderStanding(name, stored.get(name, {}).get("enabled", True)) for _, _, name in sorted(placed)]


@guarded
def enable(db: Db, name: str, enabled: bool, *, by: str, now: datetime) -> None:
    change = {"$set": {"enabled": enabled, "changed_by": by, "changed_at": now}}
    db.providers.update_one({"_id": name}, change, upsert=True)


@guarded
def reorder(db: Db, names: Sequence[str], *, by: str, now: datetime) -> None:
    """The whole order, in one ordered write."""
    writes = [
        UpdateOne({"_id": name}, {"$set": {"position": place, "changed_by": by, "changed_at": now}}, upsert=True)
        for place, name in enumerate(names)
    ]
    db.providers.bulk_write(writes)


@guarded
def note_fault(db: Db, name: str, why: str, *, now: datetime) -> None:
    """Note that the provider has just refused a sender for this reason, or could not be reached."""
    lasts = {"$gt": [{"$ifNull": ["$fault.at", now - FAULT_LASTS]}, now - FAULT_LASTS]}
    since = {"$cond": [lasts, "$fault.since", now]}
    # As literals: words that begin with $ would be read as the name of a field.
    change = [{"$set": {"fault": {"why": {"$literal": why}, "since": since, "at": {"$literal": now}}}}]
    db.providers.update_one({"_id": name}, change, upsert=True)


@guarded
def forget_fault(db: Db, name: str) -> None:
    """Forget the fault: the provider has taken a mail."""
    db.providers.update_one({"_id": name}, {"$unset": {"fault": 1}})


@guarded
def faults(db: Db, *, now: datetime) -> dict[str, ProviderFault]:
    """The faults that last at this moment, by the provider's name."""
    found = db.providers.find({"fault.at": {"$gt": now - FAULT_LASTS}}, {"fault": 1})
    return {doc["_id"]: ProviderFault(doc["fault"]["why"], doc["fault"]["since"]) for doc in found}
