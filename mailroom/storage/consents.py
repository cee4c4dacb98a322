"""Collection `consents`: the journal of what readers left and joined again, by an address. Never changed or removed: it
is the proof of what was asked for.

    address  folded;  act  `left`, `complained` or `joined`;  scope  a topic, or `campaigns` for all;  at
    by       `one_click`, `page`, a provider, or a person's name
    run      the run or single mail whose mail carried the link; absent if unknown

Written by the page behind the links and by the intake of events, each in the transaction that changes the
suppressions; and by people, after the change.

Index: `address, at` for the history of an address.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.consent import ConsentAct, ConsentEntry
from mailroom.domain.ids import RunId
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded

COLLECTION: Final = "consents"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("address", 1), ("at", DESCENDING)]),)


@guarded
def add(db: Db, entries: Sequence[ConsentEntry]) -> None:
    """As `add_many`, outside of a transaction."""
    add_many(db, entries)


def add_many(db: Db, entries: Sequence[ConsentEntry], *, session: Session | None = None) -> None:
    if entries:
        db.consents.insert_many([_document(entry) for entry in entries], session=session)


@guarded
def of_address(db: Db, key: str, *, limit: int) -> list[ConsentEntry]:
    """The newest entries of a folded address, newest first."""
    return [_entry(doc) for doc in db.consents.find({"address": key}).sort("at", DESCENDING).limit(limit)]


def _document(entry: ConsentEntry) -> Document:
    return drop_unset(
        {
            "address": entry.address,
            "act": entry.act,
            "scope": entry.scope,
            "at": entry.at,
            "by": entry.by,
            "run": entry.run,
        }
    )


def _entry(doc: Mapping[str, Any]) -> ConsentEntry:
    run = RunId(doc["run"]) if "run" in doc else None
    return ConsentEntry(doc["address"], ConsentAct(doc["act"]), doc["scope"], doc["at"], doc["by"], run)
