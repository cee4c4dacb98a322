"""Collection `consents`: the journal of what readers left and joined, by an address. Never removed: it is the proof of
what was asked for. Changed by the erasure of a person alone: a name takes the place of the address.

    _id      made by MongoDB, or the name under which there is one entry at most: `form/` and topic and address,
             `confirmation/` and the confirmation mail
    address  folded, or the name of one that was erased (domain/erasures.py)
    act  `left`, `complained` or `joined`;  scope  a topic, or `campaigns` for all;  at
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
def of_address(db: Db, keys: Sequence[str], *, limit: int) -> list[ConsentEntry]:
    """The newest entries of a folded address, newest first. `keys`: the address, and its name if it was erased."""
    found = db.consents.find({"address": {"$in": list(keys)}}).sort("at", DESCENDING).limit(limit)
    return [_entry(doc) for doc in found]


def erase(db: Db, key: str, name: str, *, limit: int, session: Session) -> int:
    """Let entries of a folded address stand under its name, without what was typed into a form. Returns how many."""
    docs = list(db.consents.find({"address": key}, session=session).limit(limit))
    renamed = [doc for doc in docs if isinstance(doc["_id"], str) and key in doc["_id"]]
    plain = [doc["_id"] for doc in docs if doc not in renamed]
    db.consents.update_many(
        {"_id": {"$in": plain}}, {"$set": {"address": name}, "$unset": {"name": ""}}, session=session
    )
    for doc in renamed:
        entry = {field: value for field, value in doc.items() if field != "name"}
        entry |= {"_id": doc["_id"].replace(key, f"{name}@{doc['at'].isoformat()}"), "address": name}
        db.consents.delete_one({"_id": doc["_id"]}, session=session)
        db.consents.insert_one(entry, session=session)
    return len(docs)


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
