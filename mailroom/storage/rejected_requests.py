"""Collection `refusals`: rejected requests, redacted, for the retention of the settings.

    _id       time and a random part, so that ids sort by time
    at, method, path, status, code, detail, who, remote, request_id, size, body
              see domain/rejected_requests.py
    faults    list of {path, message}

Inserted by the API; removed by its TTL (see retention.py).

Indexes: `status, _id` for the list of one status; `at` (TTL).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.errors import Fault
from mailroom.domain.rejected_requests import RejectedRequest
from mailroom.storage.database import Db, Document, guarded, insert_once

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


def _document(stored: StoredRejection) -> Document:
    return {
        "_id": stored.id,
        **{name: getattr(stored.request, name) for name in _PLAIN},
        "faults": [{"path": fault.path, "message": fault.message} for fault in stored.request.faults],
    }


def _stored(doc: Document) -> StoredRejection:
    faults = [Fault(fault["path"], fault["message"]) for fault in doc["faults"]]
    return StoredRejection(doc["_id"], RejectedRequest(**{name: doc[name] for name in _PLAIN}, faults=faults))
