"""Erase a person from single mails, in the collections `emails` and `bodies` (see emails.py, bodies.py).

A mail to several stays with the others' addresses; what it says goes, because it went to the person too. Files of a
large body are swept away by the janitor, as those of each body that is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING

from mailroom.domain.addresses import fold
from mailroom.domain.erasures import ERASED
from mailroom.domain.ids import EmailId, again_email_prefix
from mailroom.storage.database import Db, Document, Session, guarded

_TO: Final = [("recipients", 1), ("created_at", DESCENDING), ("_id", DESCENDING)]
_MOST_REPEATS: Final = 1_000  # mails that repeat one for those whom it did not reach


@guarded
def to_address(db: Db, key: str, *, made_by: datetime, but: Sequence[str], limit: int) -> list[EmailId]:
    """The newest single mails to a folded address that were accepted by this time, without those of `but`."""
    query = {"recipients": key, "created_at": {"$lte": made_by}, "_id": {"$nin": list(but)}}
    rows = db.emails.find(query, {"_id": 1}).sort(_TO[1:]).hint(_TO).limit(limit)
    return [EmailId(doc["_id"]) for doc in rows]


def repeats_of(db: Db, email_id: EmailId, *, session: Session) -> list[EmailId]:
    """The mails that repeat this one, or a repeat of it, for others: their heads name its recipients too."""
    found: list[EmailId] = []
    ahead = [email_id]
    while ahead and len(found) < _MOST_REPEATS:
        start = again_email_prefix(ahead.pop())
        rows = db.emails.find({"_id": {"$gte": start, "$lt": f"{start}\uffff"}}, {"_id": 1}, session=session)
        new = [EmailId(doc["_id"]) for doc in rows.limit(_MOST_REPEATS)]
        found += new
        ahead += new
    return found


@dataclass(frozen=True, slots=True)
class EmailFields:
    """A single mail, with all that is stored of it, but for what its attachments hold."""

    id: EmailId
    created_at: datetime
    fields: Mapping[str, object]


@guarded
def stored_of(db: Db, key: str, *, before: tuple[datetime, str] | None, limit: int) -> list[EmailFields]:
    """The newest single mails to a folded address, with their bodies. `before`: time and id of the last one of the page
    before."""
    query: Document = {"recipients": key}
    if before:
        at, id_ = before
        query["$or"] = [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": id_}}]
    rows = list(db.emails.find(query, {"request_digest": 0}).sort(_TO[1:]).hint(_TO).limit(limit))
    bodies = {doc["_id"]: doc for doc in db.bodies.find({"_id": {"$in": [row["_id"] for row in rows]}}, _OF_BODY)}
    return [
        EmailFields(EmailId(row["_id"]), row["created_at"], _fields(row) | {"body": _shown(bodies.get(row["_id"]))})
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class ErasableEmail:
    """A single mail. `others`: whether it goes to others too."""

    id: EmailId
    others: bool


def get(db: Db, email_id: EmailId, key: str, *, session: Session) -> ErasableEmail | None:
    """None for a mail that is not stored, or does not name this folded address."""
    doc = db.emails.find_one({"_id": email_id}, {"recipients": 1, "addressees.address": 1}, session=session)
    if doc is None or key not in {*doc["recipients"], *(fold(one["address"]) for one in doc["addressees"])}:
        return None
    return ErasableEmail(email_id, any(one not in (key, ERASED) for one in doc["recipients"]))


def erase(db: Db, email_id: EmailId, key: str, *, session: Session) -> tuple[int, int]:
    """Take a folded address off a mail, and what the mail says. Returns how many mails and bodies were changed or
    removed."""
    doc = db.emails.find_one({"_id": email_id}, dict.fromkeys(_NAMING, 1), session=session)
    if doc is None:
        return 0, 0
    change: Document = {name: [_erased(one, key) for one in doc[name]] for name in _NAMING if name in doc}
    change |= {"subject": "", "metadata": {}}
    mails = db.emails.update_one({"_id": email_id}, {"$set": change}, session=session).modified_count
    return mails, db.bodies.delete_one({"_id": email_id}, session=session).deleted_count


_NAMING: Final = ("addressees", "recipients", "suppressed")
_OF_BODY: Final = dict.fromkeys(("text", "html", "headers", "attachments.filename", "attachments.content_type"), 1)
_INNER: Final = frozenset({"_id", "owner", "recipients", "repeats", "size"})


def _erased(one: Any, key: str) -> Any:
    """An addressee, a folded address, or a suppressed recipient, if it is this person; else as it is."""
    if isinstance(one, str):
        return ERASED if one == key else one
    if fold(one["address"]) != key:
        return one
    return one | {"address": ERASED} | ({"name": ""} if "name" in one else {})


def _fields(doc: Document) -> Document:
    return {name: value for name, value in doc.items() if name not in _INNER}


def _shown(body: Document | None) -> Document | None:
    return None if body is None else {name: value for name, value in body.items() if name != "_id"}
