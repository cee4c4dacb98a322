"""Collection `recipients`: who is in which audience, and who was.

    _id          {"a": audience id, "k": folded address} of a contact: an address is in an audience once
                 {"a", "k", "u": until} of a contact's earlier data, or of a contact that has left
    address      as it is mailed to;  name;  variables;  time_zone, language: absent where they are not known
    joined_at    when the contact came in; absent: with the audience itself;  source: how
    since        the version from which on this holds; absent: since the audience was made
    until        the version from which on it holds no more; absent: it holds
    erased       true of the place of somebody who was erased: only their time zone is left (see erasing.py);
                 found_by: digests of filters that had found them, absent without any

Whoever reads an audience as of a version gets each address once, with the data of that version, in the order of the
addresses. Written by contacts.py; what no run needs any more is removed by versions.py.

Indexes: `until` (partial) for that removal; `_id.k` (partial: earlier data) for all that an address was before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson.max_key import MaxKey
from pymongo import IndexModel

from mailroom.domain.audience_versions import AudienceVersion
from mailroom.domain.audiences import Recipient
from mailroom.domain.contacts import Contact
from mailroom.domain.ids import AudienceId
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded

COLLECTION: Final = "recipients"
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("until", 1)], partialFilterExpression={"until": {"$exists": True}}),
    IndexModel([("_id.k", 1)], partialFilterExpression={"until": {"$exists": True}}, name="earlier_of_address"),
)


# To read a time takes twice as long as all else in a document.
_FOR_A_FILTER: Final = {"since": 0, "until": 0}
_AS_MAILED: Final = {**_FOR_A_FILTER, "joined_at": 0, "source": 0}


@guarded
def after(db: Db, of: AudienceVersion, key: str, limit: int) -> list[Contact]:
    """The next contacts as of a version, after a folded address ('' for the first), in its order: of a list without a
    filter without how and when they came in."""
    query = {"_id": range_of(of.audience, key), **_as_of(of.at)}
    rows = db.recipients.find(query, _FOR_A_FILTER if of.only else _AS_MAILED).sort("_id", 1).limit(limit)
    return [contact_of(doc) for doc in rows]


@guarded
def before(db: Db, of: AudienceVersion, key: str, limit: int) -> list[Contact]:
    """The last contacts as of a version before a folded address, the nearest first."""
    ids = {"$gt": {"a": of.audience}, "$lt": {"a": of.audience, "k": key}}
    rows = db.recipients.find({"_id": ids, **_as_of(of.at)}).sort("_id", -1).limit(limit)
    return [contact_of(doc) for doc in rows]


@guarded
def whole_small_ones(db: Db, lists: Sequence[AudienceVersion]) -> dict[AudienceVersion, list[Contact]]:
    """All contacts of several small lists in one question."""
    found: dict[AudienceVersion, list[Contact]] = {one: [] for one in lists}
    if found:
        ranges = [{"_id": range_of(one.audience, ""), **_as_of(one.at)} for one in found]
        rows = list(db.recipients.find({"$or": ranges}).sort("_id", 1))
        for one, members in found.items():
            members += [contact_of(doc) for doc in rows if doc["_id"]["a"] == one.audience and _holds(doc, one.at)]
    return found


@guarded
def some(db: Db, of: AudienceVersion, keys: Sequence[str]) -> dict[str, Recipient]:
    """The members with these folded addresses, by them: as of the version, else as they are now."""
    then = {contact.key: contact.recipient for contact in among(db, of, keys)}
    now = {} if len(then) == len(keys) else contacts_of(db, of.audience, [key for key in keys if key not in then])
    return {key: contact.recipient for key, contact in now.items()} | then


@guarded
def among(db: Db, of: AudienceVersion, keys: Sequence[str]) -> list[Contact]:
    """The contacts as of a version with these folded addresses."""
    now = db.recipients.find({"_id": {"$in": _ids(of.audience, keys)}})
    found = {doc["_id"]["k"]: contact_of(doc) for doc in now if _holds(doc, of.at)}
    if missing := [key for key in keys if key not in found]:
        earlier = [{"_id": _earlier(of.audience, key), **_as_of(of.at)} for key in missing]
        found |= {doc["_id"]["k"]: contact_of(doc) for doc in db.recipients.find({"$or": earlier})}
    return list(found.values())


@guarded
def contacts_after(db: Db, audience: AudienceId, key: str, limit: int) -> list[Contact]:
    """The next contacts after a folded address, as they are now."""
    rows = db.recipients.find({"_id": range_of(audience, key), **HOLDS}).sort("_id", 1).limit(limit)
    return [contact_of(doc) for doc in rows]


@guarded
def contact(db: Db, audience: AudienceId, key: str) -> Contact | None:
    """The contact of a folded address, as it is now."""
    doc = db.recipients.find_one({"_id": {"a": audience, "k": key}})
    return contact_of(doc) if doc else None


@guarded
def contacts_of(db: Db, audience: AudienceId, keys: Sequence[str]) -> dict[str, Contact]:
    """The contacts with these folded addresses, as they are now, by the addresses."""
    rows = db.recipients.find({"_id": {"$in": _ids(audience, keys)}})
    return {doc["_id"]["k"]: contact_of(doc) for doc in rows}


def documents_of(db: Db, audience: AudienceId, keys: Sequence[str], *, session: Session) -> dict[str, Document]:
    """The documents of the contacts with these folded addresses, as they are now, by the addresses."""
    rows = db.recipients.find({"_id": {"$in": _ids(audience, keys)}}, session=session)
    return {doc["_id"]["k"]: doc for doc in rows}


@guarded
def holding(db: Db, audiences: Sequence[AudienceId], key: str) -> set[AudienceId]:
    """The audiences among these that this folded address is in now."""
    wanted = {"_id": {"$in": [{"a": audience, "k": key} for audience in audiences]}}
    return {AudienceId(doc["_id"]["a"]) for doc in db.recipients.find(wanted, {"_id": 1})}


@guarded
def addresses_from(db: Db, audience: AudienceId, start: str, *, limit: int) -> list[str]:
    """The first folded addresses with this beginning that are, or were, in an audience."""
    between = {"$gte": {"a": audience, "k": start}, "$lt": {"a": audience, "k": f"{start}\uffff"}}
    named = {"_id": between, "erased": {"$exists": False}}
    rows = db.recipients.find(named, {"_id": 1}).sort("_id", 1).limit(limit)
    return list(dict.fromkeys(doc["_id"]["k"] for doc in rows))


@guarded
def insert(db: Db, audience: AudienceId, recipients: Sequence[Recipient], *, joined_at: datetime) -> None:
    """The contacts of an audience that is being made."""
    documents = [{"_id": {"a": audience, "k": one.key}, **fields_of(Contact(one, joined_at))} for one in recipients]
    db.recipients.insert_many(documents, ordered=False)


def remove_all(db: Db, audience: AudienceId) -> None:
    """With everybody who was in it."""
    db.recipients.delete_many({"_id": range_of(audience, "")})


def count_names(db: Db, audience: AudienceId, *, most: int) -> dict[str, int] | None:
    """How many members of an audience that was never changed have each merge field; None for more than `most` names."""
    rows = db.recipients.aggregate(
        [
            {"$match": {"_id": range_of(audience, "")}},
            {"$project": {"_id": 0, "field": {"$objectToArray": "$variables"}}},
            {"$unwind": "$field"},
            {"$group": {"_id": "$field.k", "members": {"$sum": 1}}},
            {"$limit": most + 1},
        ]
    )
    counted = {doc["_id"]: doc["members"] for doc in rows}
    return counted if len(counted) <= most else None


def count_zones(db: Db, audience: AudienceId) -> dict[str, int]:
    """How many contacts of an audience have each time zone now."""
    rows = db.recipients.aggregate(
        [
            {"$match": {"_id": range_of(audience, ""), **HOLDS, "time_zone": {"$exists": True}}},
            {"$group": {"_id": "$time_zone", "contacts": {"$sum": 1}}},
        ]
    )
    return {doc["_id"]: doc["contacts"] for doc in rows}


def range_of(audience: AudienceId, key: str) -> Document:
    """The ids of all documents of the addresses after this one."""
    return {"$gt": {"a": audience, "k": key, "u": MaxKey()}, "$lt": {"a": audience, "k": MaxKey()}}


def fields_of(stored: Contact) -> Document:
    """The fields of a contact's document, but for its id and its versions."""
    recipient = stored.recipient
    return drop_unset(
        {
            "address": recipient.address,
            "name": recipient.name,
            "variables": recipient.variables,
            "time_zone": recipient.time_zone or None,
            "language": recipient.language or None,
            "joined_at": stored.joined_at,
            "source": stored.source or None,
        }
    )


def contact_of(doc: Mapping[str, Any]) -> Contact:
    return Contact(_recipient(doc), doc.get("joined_at"), doc.get("source", ""), frozenset(doc.get("found_by", ())))


#: Of documents that hold now.
HOLDS: Final[Mapping[str, Any]] = {"until": {"$exists": False}}


def _as_of(at: datetime | None) -> Document:
    """Of documents that hold as of a version."""
    if at is None:
        return {"since": {"$exists": False}}
    return {"since": {"$not": {"$gt": at}}, "until": {"$not": {"$lte": at}}}


def _holds(doc: Mapping[str, Any], at: datetime | None) -> bool:
    since, until = doc.get("since"), doc.get("until")
    if at is None:
        return since is None
    return (since is None or since <= at) and (until is None or until > at)


def _earlier(audience: AudienceId, key: str) -> Document:
    """The ids of what a contact was before."""
    return {"$gt": {"a": audience, "k": key}, "$lte": {"a": audience, "k": key, "u": MaxKey()}}


def _ids(audience: AudienceId, keys: Sequence[str]) -> list[Document]:
    return [{"a": audience, "k": key} for key in keys]


def _recipient(doc: Mapping[str, Any]) -> Recipient:
    if doc.get("erased"):
        return Recipient(doc["_id"]["k"], time_zone=doc.get("time_zone", ""), erased=True)
    return Recipient(doc["address"], doc["name"], doc["variables"], doc.get("time_zone", ""), doc.get("language", ""))
