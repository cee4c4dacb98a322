"""Collection `providers`: run-time settings by a person. Without a document the configured settings apply.

    _id        name
    enabled    false: no new work; its doubts are still reconciled
    position   int, place in the order; absent: the order of the settings
    changed_by, changed_at
    fault      {why, since, at, slow}: why it accepts nothing, since when, and when a sender last noted it. The fault
               is over FAULT_LASTS after `at`. `slow`: it accepts mail, but others get it, because they are quicker.
               Absent: no sender noted a fault

Written by API, pages and commands, faults by senders; read by senders continually.

Indexes: none; there are few documents.
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
    """The reason why a provider accepts nothing from us, and since when. `slow`: it accepts mail, but slowly."""

    why: str
    since: datetime
    slow: bool = False


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
    """Store the whole order, in one ordered write."""
    writes = [
        UpdateOne({"_id": name}, {"$set": {"position": place, "changed_by": by, "changed_at": now}}, upsert=True)
        for place, name in enumerate(names)
    ]
    db.providers.bulk_write(writes)


@guarded
def note_fault(db: Db, name: str, why: str, *, now: datetime, slow: bool = False) -> None:
    """Note that the provider has just refused a sender for this reason, could not be reached, or is slow."""
    lasts = {"$gt": [{"$ifNull": ["$fault.at", now - FAULT_LASTS]}, now - FAULT_LASTS]}
    since = {"$cond": [lasts, "$fault.since", now]}
    # Literals: words that begin with $ would be read as a field name.
    fault = {"why": {"$literal": why}, "since": since, "at": {"$literal": now}, "slow": {"$literal": slow}}
    change = [{"$set": {"fault": fault}}]
    db.providers.update_one({"_id": name}, change, upsert=True)


@guarded
def forget_fault(db: Db, name: str) -> None:
    """Remove the fault: the provider has accepted a mail."""
    db.providers.update_one({"_id": name}, {"$unset": {"fault": 1}})


@guarded
def faults(db: Db, *, now: datetime) -> dict[str, ProviderFault]:
    """The present faults, by the provider's name."""
    docs = db.providers.find({"fault.at": {"$gt": now - FAULT_LASTS}}, {"fault": 1})
    return {doc["_id"]: _fault(doc["fault"]) for doc in docs}


def _fault(doc: Mapping[str, Any]) -> ProviderFault:
    return ProviderFault(doc["why"], doc["since"], doc.get("slow", False))
