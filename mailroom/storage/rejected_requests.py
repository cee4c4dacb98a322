"""Collection `refusals`: rejected requests, redacted, for the retention of the settings.

    _id       time and a random part, so that ids sort by time
    at, method, path, status, code, detail, who, remote, request_id, size, body
              see domain/rejected_requests.py
    faults    list of {path, message}

Inserted by the API; removed by its TTL (see retention.py).

Indexes: `status, _id` for the list of one status; `at` (TTL).
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.erasures import holds, without
from mailroom.domain.errors import Fault
from mailroom.domain.rejected_requests import RejectedRequest
from mailroom.storage.database import Db, Document, Session, guarded, insert_once

COLLECTION: Final = "refusals"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("status", 1), ("_id", DESCENDING)]),)


_PLAIN: Final = ("at", "method", "path", "status", "code", "detail", "who", "remote", "request_id", "size", "body")


@dataclass(frozen=True, slots=True)
class StoredRejection:
    """A rejected request, and its id in the list."""

    id: str
    request: RejectedRequest


def to_store(refusal: RejectedRequest) -> StoredRejection:
    """The request under a new id, which sorts by its time."""
    return StoredRejection(f"{int(refusal.at.timestamp() * 1000):011x}{secrets.token_hex(4)}", refusal)


@guarded
def add_many(db: Db, refusals: Sequence[StoredRejection]) -> None:
    """May be repeated."""
    insert_once(db.refusals, [_document(refusal) for refusal in refusals])


@guarded
def page(db: Db, *, status: int | None, before: str, limit: int) -> list[StoredRejection]:
    """A page, newest first. `before`: the id of the last row of the previous page, '' for the first page."""
    query: Document = {"_id": {"$lt": before}} if before else {}
    if status is not None:
        query["status"] = status
    return [_stored(doc) for doc in db.refusals.find(query).sort("_id", DESCENDING).limit(limit)]


@dataclass(frozen=True, slots=True)
class LookedThrough:
    """Some rejected requests, in the order of their ids. `holding`: those that hold an address, by their ids, with all
    that is stored of them. `through`: the id of the last one that was looked at; '' if none was left."""

    through: str
    holding: Mapping[str, Mapping[str, object]]


@guarded
def look_through(db: Db, key: str, *, after: str, limit: int) -> LookedThrough:
    """The next rejected requests after this id, looked through for a folded address."""
    rows = list(db.refusals.find({"_id": {"$gt": after}}).sort("_id", 1).limit(limit))
    through = rows[-1]["_id"] if rows else ""
    found = [doc for doc in rows if any(holds(text, key) for text in _texts(doc))]
    return LookedThrough(through, {doc.pop("_id"): doc for doc in found})


def erase(db: Db, ids: Sequence[str], key: str, *, session: Session) -> int:
    """Take a folded address out of these rejected requests, and the body with it. Returns how many were changed."""
    docs = list(db.refusals.find({"_id": {"$in": list(ids)}}, session=session))
    for doc in docs:
        faults = [{"path": without(f["path"], key), "message": without(f["message"], key)} for f in doc["faults"]]
        plain = {name: without(doc[name], key) for name in ("path", "detail")}
        change = {"$set": {**plain, "body": "", "faults": faults}}
        db.refusals.update_one({"_id": doc["_id"]}, change, session=session)
    return len(docs)


def _texts(doc: Document) -> list[str]:
    return [doc["path"], doc["detail"], doc["body"], *(f"{one['path']} {one['message']}" for one in doc["faults"])]


def _document(stored: StoredRejection) -> Document:
    return {
        "_id": stored.id,
        **{name: getattr(stored.request, name) for name in _PLAIN},
        "faults": [{"path": fault.path, "message": fault.message} for fault in stored.request.faults],
    }


def _stored(doc: Document) -> StoredRejection:
    faults = [Fault(fault["path"], fault["message"]) for fault in doc["faults"]]
    return StoredRejection(doc["_id"], RejectedRequest(**{name: doc[name] for name in _PLAIN}, faults=faults))
