"""Collection `consents`: the journal of what readers left and joined, by an address. Never changed or removed: it is
the proof of what was asked for.

    _id      made by MongoDB, or the name under which there is one entry at most: `form/` and topic and address,
             `confirmation/` and the confirmation mail
    address  folded;  act  `left`, `complained` or `joined`;  scope  a topic, or `campaigns` for all;  at
    by       `one_click`, `mail`, `page`, `form`, `confirmation`, a provider, or a person's name
    run      the run or single mail whose mail carried the link; absent if unknown
    asked_at when the form was posted, of a `confirmation`
    name     as it was typed into the form; absent where none was

Written by the page behind the links, by forms and confirmations, and by the intake of events, each in the transaction
that changes the suppressions; and by people, after the change.

Index: `address, at` for the history of an address.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.consent import ConsentAct, ConsentEntry
from mailroom.domain.ids import RunId
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded, insert_new

COLLECTION: Final = "consents"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("address", 1), ("at", DESCENDING)]),)


@guarded
def add(db: Db, entries: Sequence[ConsentEntry]) -> None:
    """As `add_many`, outside of a transaction."""
    add_many(db, entries)


def add_many(db: Db, entries: Sequence[ConsentEntry], *, session: Session | None = None) -> None:
    if entries:
        db.consents.insert_many([_document(entry) for entry in entries], session=session)


def add_new(db: Db, entry: ConsentEntry, *, session: Session) -> None:
    """Add an entry under its name `once`. Raises AlreadyThere: another transaction has added it meanwhile."""
    insert_new(db.consents, [_document(entry)], session)


def has(db: Db, once: str, *, session: Session) -> bool:
    """True if there is an entry of this name."""
    return db.consents.find_one({"_id": once}, {"_id": 1}, session=session) is not None


@guarded
def of_address(db: Db, key: str, *, limit: int) -> list[ConsentEntry]:
    """The newest entries of a folded address, newest first."""
    return [_entry(doc) for doc in db.consents.find({"address": key}).sort("at", DESCENDING).limit(limit)]


def _document(entry: ConsentEntry) -> Document:
    return drop_unset(
        {
            "_id": entry.once or None,
            "address": entry.address,
            "act": entry.act,
            "scope": entry.scope,
            "at": entry.at,
            "by": entry.by,
            "run": entry.run,
            "asked_at": entry.asked_at,
            "name": entry.name or None,
        }
    )


def _entry(doc: Mapping[str, Any]) -> ConsentEntry:
    return ConsentEntry(
        address=doc["address"],
        act=ConsentAct(doc["act"]),
        scope=doc["scope"],
        at=doc["at"],
        by=doc["by"],
        run=RunId(doc["run"]) if "run" in doc else None,
        asked_at=doc.get("asked_at"),
        name=doc.get("name", ""),
    )
