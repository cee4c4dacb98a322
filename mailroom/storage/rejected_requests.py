"""Collection `refusals`: requests that were refused, redacted, for as long as the settings say.

    _id       time and a random part: sorts by time
    at, method, path, status, code, detail, who, remote, request_id, size, body
              see domain/refusals.py
    faults    list of {path, message}

Inserted by the API; removed by its TTL (see retention.py).

Indexes: `status` for the list of one kind; `at` (TTL).
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.refusals import RejectedRequest
from mailroom.storage.database import Db, Document, guarded

COLLECTION: Final = "refusals"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("status", 1), ("_id", DESCENDING)]),)


@guarded
def add_many(db: Db, refusals: Sequence[RejectedRequest]) -> None:
    db.refusals.insert_many([_document(refusal) for refusal in refusals], ordered=False)


@guarded
def page(db: Db, *, status: int | None, before: str, limit: int) -> list[Mapping[str, Any]]:
    """Newest first. `before` is the id of the last row of the page before, '' for the first page."""
    query: Document = {"_id": {"$lt": before}} if before else {}
    if status is not None:
        query["status"] = status
    return list(db.refusals.find(query).sort("_id", DESCENDING).limit(limit))


def _document(refusal: RejectedRequest) -> Document:
    plain = ("at", "method", "path", "status", "code", "detail", "who", "remote", "request_id", "size", "body")
    return {
        "_id": f"{int(refusal.at.timestamp() * 1000):011x}{secrets.token_hex(4)}",
        **{name: getattr(refusal, name) for name in plain},
        "faults": [{"path": fault.path, "message": fault.message} for fault in refusal.faults],
    }
