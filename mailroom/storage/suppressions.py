"""Collection `suppressions`: addresses that get no mail, or no campaigns, from any provider.

    _id             folded address; older documents may have a domain that is not in ASCII (see `spellings`)
    scopes          list of {scope, reason, since, note, told_by}, one for each scope: `all`, `campaigns`, a topic. An
                    older document has `reason`, `since` and `event_id` instead, with the scope `campaigns` for
                    `complained` and `unsubscribed`, otherwise `all`
    since           time of the newest entry
    unpushed        a number that every added entry changes, until the document was pushed to a provider's own lists
    resubscribed_at when the owner of the address reversed an unsubscribe from all campaigns: an older one is ignored
    erased_at       of an address that was erased: `_id` is its name (domain/erasures.py), by which alone it is found

And one document without entries, from the first erasure on: `_id` is '', `key` is the key of the names. It comes along
with the first question, so nothing is asked twice where nobody was erased.

Written by the intake of events in its transaction, by the recording of answers, and by people. Read by planning, by the
acceptance of single mails, and before each call.

Indexes: `since` for the list; `unpushed` (partial) for what is to be pushed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_bytes
from typing import Any, Final

from pymongo import IndexModel, UpdateOne

from mailroom.domain.addresses import fold
from mailroom.domain.erasures import SECRET_BYTES, erased_name
from mailroom.domain.events import SuppressionReason
from mailroom.domain.suppressions import CAMPAIGNS, Entry, Suppression, forbidden, in_order, scope_of, spellings
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded

COLLECTION: Final = "suppressions"
_IN_CLEAR: Final[Document] = {"erased_at": {"$exists": False}}  # of documents whose id is an address
_SECRET: Final = ""  # the id of the document that holds the key of names
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("since", -1), ("_id", -1)]),
    IndexModel([("unpushed", 1)], partialFilterExpression={"unpushed": {"$exists": True}}),
)


@dataclass(frozen=True, slots=True)
class Unpushed:
    """A folded address with its entries, and the mark that shows whether an entry was added since."""

    key: str
    entries: Sequence[Entry]
    mark: float


def add_many(
    db: Db, entries: Sequence[tuple[str, Entry]], *, session: Session | None = None, asked_now: bool = False
) -> None:
    """Add these entries to their folded addresses. A stored entry of the same scope stays, except `unsubscribed`, which
    can be reversed: any other reason and any later unsubscribe replaces it. `asked_now`: the owner of the address asks
    for them at this moment, so no resubscription is newer, whatever the clock says."""
    writes = [UpdateOne({"_id": key}, _adding(entry, asked_now=asked_now), upsert=True) for key, entry in entries]
    if writes:
        db.suppressions.bulk_write(writes, ordered=True, session=session)


def entries_of(db: Db, key: str, *, session: Session) -> list[Entry]:
    """The entries of a folded address, in the transaction."""
    return [entry for _, doc in _documents(db, [key], session=session) for entry in _entries(doc)]


@guarded
def add(db: Db, entries: Sequence[tuple[str, Entry]]) -> None:
    """As `add_many`, outside of a transaction."""
    add_many(db, entries)


@guarded
def add_bounced(db: Db, keys: Sequence[str], *, at: datetime) -> None:
    """Suppress folded addresses that a provider reported in its answer as addresses that take no mail."""
    reason = SuppressionReason.BOUNCED
    add_many(db, [(key, Entry(scope_of(reason), reason, at)) for key in keys])


def take_back(
    db: Db, keys: Sequence[tuple[str, datetime]], *, scopes: Collection[str] = (CAMPAIGNS,), session: Session
) -> None:
    """Reverse unsubscribes in these scopes of these folded addresses, if older than the time given with each."""
    names = names_within(db, [key for key, _ in keys], session=session) if keys else {}
    writes = [
        UpdateOne({"_id": spelling}, _taking_back(at, scopes), upsert=spelling == key)
        for key, at in keys
        for spelling in (*spellings(key), *([names[key]] if key in names else []))
    ]
    if writes:
        db.suppressions.bulk_write(writes, ordered=True, session=session)


def among(db: Db, keys: Sequence[str], scopes: Collection[str]) -> dict[str, str]:
    """The folded addresses among these that get no mail of the scopes, with the reason."""
    return reasons(entries_among(db, keys), scopes)


def reasons(entries: Sequence[tuple[str, Sequence[Entry]]], scopes: Collection[str]) -> dict[str, str]:
    """The addresses among these that get no mail of the scopes, with the reason. `entries`: address and its entries."""
    checked = [(key, forbidden(of_address, scopes)) for key, of_address in entries]
    return {key: reason for key, reason in checked if reason is not None}


@guarded
def entries_among(db: Db, keys: Sequence[str]) -> list[tuple[str, list[Entry]]]:
    """The entries of these folded addresses. An address stored under two spellings appears twice."""
    return [(key, _entries(doc)) for key, doc in _documents(db, keys)]


@guarded
def get(db: Db, address: str) -> Suppression | None:
    key = fold(address)
    entries = {entry.scope: entry for _, doc in _documents(db, [key]) for entry in _entries(doc)}
    return Suppression(key, in_order(list(entries.values()))) if entries else None


@guarded
def remove(db: Db, addresses: Sequence[str], scope: str | None) -> list[str]:
    """Remove this scope, or all scopes if None, from these addresses. Returns the folded addresses that had it."""
    docs = {doc["_id"]: (key, doc) for key, doc in _documents(db, list(map(fold, addresses)))}
    held = [id_ for id_, (_, doc) in docs.items() if any(scope in (None, entry.scope) for entry in _entries(doc))]
    if held:
        others: Document = {"$filter": {"input": _SCOPES, "cond": {"$ne": ["$$this.scope", {"$literal": scope}]}}}
        change = [{"$set": {"scopes": others if scope else []}}, *_IN_SHAPE]
        db.suppressions.update_many({"_id": {"$in": held}}, change)
        # A document with only `resubscribed_at` stays, so that an older event cannot undo the resubscription.
        empty = {"scopes": [], "resubscribed_at": {"$exists": False}, **_IN_CLEAR}
        db.suppressions.delete_many({"_id": {"$in": held}, **empty})
    return list(dict.fromkeys(docs[id_][0] for id_ in held))


@guarded
def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Suppression]:
    """A page of the list, newest first, without those of whom the address is erased. `before`: (since, folded address)
    of the last row of the previous page."""
    query: dict[str, Any] = {"scopes": {"$ne": []}, **_IN_CLEAR}
    if before:
        since, last = before
        query["$or"] = [{"since": {"$lt": since}}, {"since": since, "_id": {"$lt": last}}]
    docs = db.suppressions.find(query).sort([("since", -1), ("_id", -1)]).limit(limit)
    return [Suppression(doc["_id"], in_order(_entries(doc))) for doc in docs]


@guarded
def unpushed(db: Db, *, limit: int) -> list[Unpushed]:
    """Addresses with entries that were added since they were pushed last. A name is no address to be pushed."""
    docs = db.suppressions.find({"unpushed": {"$exists": True}, **_IN_CLEAR}).sort("unpushed", 1).limit(limit)
    return [Unpushed(doc["_id"], _entries(doc), doc["unpushed"]) for doc in docs]


@guarded
def note_pushed(db: Db, pushed: Sequence[Unpushed]) -> None:
    """Note that these were pushed, unless an entry was added since they were read."""
    writes = [UpdateOne({"_id": one.key, "unpushed": one.mark}, {"$unset": {"unpushed": ""}}) for one in pushed]
    if writes:
        db.suppressions.bulk_write(writes, ordered=False)


@guarded
def by_address(db: Db, *, after: str, limit: int) -> list[tuple[str, list[Entry]]]:
    """The folded addresses after this one, with their entries, in the order of the addresses."""
    docs = db.suppressions.find({"_id": {"$gt": after}, **_IN_CLEAR}).sort("_id", 1).limit(limit)
    return [(doc["_id"], _entries(doc)) for doc in docs]


@guarded
def names_of(db: Db, keys: Sequence[str]) -> dict[str, str]:
    """The names that stand for these folded addresses once they are erased; none where nobody ever was."""
    return names_within(db, keys, session=None)


def names_within(db: Db, keys: Sequence[str], *, session: Session | None) -> dict[str, str]:
    """As `names_of`, in a transaction."""
    doc = db.suppressions.find_one({"_id": _SECRET}, session=session)
    return {key: erased_name(doc["key"], key) for key in keys} if doc else {}


@guarded
def prepare_names(db: Db) -> None:
    """Before the first erasure: make the key of names. It stays for good."""
    made = {"key": token_bytes(SECRET_BYTES), "scopes": []}
    db.suppressions.update_one({"_id": _SECRET}, {"$setOnInsert": made}, upsert=True)


def erase(db: Db, key: str, *, now: datetime, session: Session) -> int:
    """Let the entries of a folded address stand under its name alone: `prepare_names` has been called. They hold mail
    back as before. Returns how many documents are gone."""
    name = names_within(db, [key], session=session)[key]
    docs = list(db.suppressions.find({"_id": {"$in": spellings(key)}}, session=session))
    marks = {"erased_at": {"$ifNull": ["$erased_at", now]}, "scopes": _SCOPES}
    kept: list[Document] = [{"$set": marks}]
    for entry in (entry for doc in docs for entry in _entries(doc)):
        kept += _adding(replace(entry, note="", told_by=""), asked_now=True)
    if reversed_at := [doc["resubscribed_at"] for doc in docs if "resubscribed_at" in doc]:
        kept.append({"$set": {"resubscribed_at": {"$max": ["$resubscribed_at", *reversed_at]}}})
    kept.append({"$unset": "unpushed"})
    db.suppressions.update_one({"_id": name}, kept, upsert=True, session=session)
    db.suppressions.delete_many({"_id": {"$in": [doc["_id"] for doc in docs]}}, session=session)
    return len(docs)


def _documents(db: Db, keys: Sequence[str], *, session: Session | None = None) -> list[tuple[str, Document]]:
    """The documents of these folded addresses, each with its address; those under their names too."""
    asked = {spelling: key for key in keys for spelling in spellings(key)}
    docs = list(db.suppressions.find({"_id": {"$in": [_SECRET, *asked]}}, session=session))
    secret = next((doc["key"] for doc in docs if doc["_id"] == _SECRET), None)
    if secret is not None:
        names = {erased_name(secret, key): key for key in keys}
        docs += db.suppressions.find({"_id": {"$in": list(names)}}, session=session)
        asked |= names
    return [(asked[doc["_id"]], doc) for doc in docs if doc["_id"] in asked]


def _entries(doc: Mapping[str, Any]) -> list[Entry]:
    if "scopes" not in doc:
        if "reason" not in doc:
            return []
        return [Entry(scope_of(doc["reason"]), doc["reason"], doc.get("since", _EVER), "", doc.get("event_id", ""))]
    return [
        Entry(raw["scope"], raw["reason"], raw.get("since", _EVER), raw.get("note", ""), raw.get("told_by", ""))
        for raw in doc["scopes"]
    ]


_EVER: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")

# Within an update: the entries of a document, also of an older document without scopes.
_LEGACY: Final[Document] = {
    "scope": {"$cond": [{"$in": ["$reason", ["complained", "unsubscribed"]]}, "campaigns", "all"]},
    "reason": "$reason",
    "since": {"$ifNull": ["$since", _EVER]},
    "told_by": {"$ifNull": ["$event_id", ""]},
}
_SCOPES: Final[Document] = {
    "$cond": [{"$isArray": "$scopes"}, "$scopes", {"$cond": [{"$ifNull": ["$reason", False]}, [_LEGACY], []]}]
}
# `since` is that of the newest entry. The entry of an older document already contains its `reason` and `event_id`.
_IN_SHAPE: Final[Sequence[Document]] = (
    {"$set": {"since": {"$max": "$scopes.since"}}},
    {"$unset": ["reason", "event_id"]},
)


def _adding(entry: Entry, *, asked_now: bool) -> list[Document]:
    fields = drop_unset(
        {
            "scope": entry.scope,
            "reason": entry.reason,
            "since": entry.since,
            "note": entry.note or None,
            "told_by": entry.told_by or None,
        }
    )
    new: Document = {"$literal": fields}
    gives_way: Document = {
        "$and": [
            {"$eq": ["$$this.scope", {"$literal": entry.scope}]},
            {"$eq": ["$$this.reason", SuppressionReason.UNSUBSCRIBED]},
            entry.reason != SuppressionReason.UNSUBSCRIBED or {"$lt": ["$$this.since", entry.since]},
        ]
    }
    stays: Document = {"$filter": {"input": "$scopes", "cond": {"$not": [gives_way]}}}
    taken_back: Document = (
        {"$lt": [entry.since, {"$ifNull": ["$resubscribed_at", _EVER]}]}
        if entry.reason == SuppressionReason.UNSUBSCRIBED and not asked_now
        else {"$literal": False}
    )
    there: Document = {"$in": [{"$literal": entry.scope}, "$scopes.scope"]}
    more: Document = {"$concatArrays": ["$scopes", [new]]}
    return [
        {"$set": {"scopes": _SCOPES}},
        {"$set": {"scopes": stays}},
        {"$set": {"scopes": {"$cond": [{"$or": [there, taken_back]}, "$scopes", more]}}},
        {"$set": {"unpushed": {"$rand": {}}}},
        *_IN_SHAPE,
    ]


def _taking_back(at: datetime, scopes: Collection[str]) -> list[Document]:
    lifted: Document = {
        "$and": [
            {"$in": ["$$this.scope", {"$literal": sorted(scopes)}]},
            {"$eq": ["$$this.reason", SuppressionReason.UNSUBSCRIBED]},
            {"$lt": ["$$this.since", at]},
        ]
    }
    # Events of providers, which may come late, are about all campaigns: joining a topic alone holds none of them back.
    reversed_at: Document = {"$set": {"resubscribed_at": {"$max": ["$resubscribed_at", at]}}}
    mark = [reversed_at] if CAMPAIGNS in scopes else []
    kept: Document = {"$filter": {"input": _SCOPES, "cond": {"$not": [lifted]}}}
    return [{"$set": {"scopes": kept}}, *mark, *_IN_SHAPE]
