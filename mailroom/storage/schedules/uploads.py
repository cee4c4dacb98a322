"""Collection `uploads`: files between their upload and the choice of what their columns are for. One document a part.

    upload     its id;  n: the part's number, from 0
    owner      the owner of the token that uploaded it; nobody else may read it
    filename   as the browser names it;  size: bytes of the whole file;  parts: how many
    data       the part's bytes, at most 8 MB: a document holds at most 16
    at         when it was uploaded: it is removed a day later

Indexes: `upload, n` (unique) reads one in order; `owner, at` finds an owner's older ones; `at` (TTL).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import DESCENDING, IndexModel

from mailroom.storage.database import Db, guarded

COLLECTION: Final = "uploads"
KEPT_S: Final = 86_400
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("upload", 1), ("n", 1)], unique=True),
    IndexModel([("owner", 1), ("at", DESCENDING)]),
    IndexModel([("at", 1)], expireAfterSeconds=KEPT_S),
)
_PART: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded."""

    id: str
    filename: str
    data: bytes


@guarded
def keep(db: Db, upload: Upload, *, owner: str, now: datetime) -> None:
    """Write it, one document a part. A file without all its parts is never read (see `get`)."""
    size = len(upload.data)
    parts = max(1, -(-size // _PART))
    fields = {"upload": upload.id, "owner": owner, "filename": upload.filename, "size": size, "parts": parts, "at": now}
    for n in range(parts):
        db.uploads.insert_one(fields | {"n": n, "data": upload.data[n * _PART : (n + 1) * _PART]})


@guarded
def get(db: Db, id_: str, *, owner: str) -> Upload | None:
    """None if this owner has no such file, or has it no longer."""
    parts = list(db.uploads.find({"upload": id_, "owner": owner}).sort("n", 1))
    if not parts or len(parts) != parts[0]["parts"]:
        return None
    return Upload(id_, parts[0]["filename"], b"".join(part["data"] for part in parts))


@guarded
def remove_older(db: Db, *, owner: str, but: int) -> None:
    """Keep an owner's newest ones only."""
    newest = db.uploads.find({"owner": owner, "n": 0}, {"upload": 1}).sort("at", DESCENDING).limit(but)
    db.uploads.delete_many({"owner": owner, "upload": {"$nin": [doc["upload"] for doc in newest]}})


@guarded
def remove(db: Db, id_: str, *, owner: str) -> None:
    db.uploads.delete_many({"upload": id_, "owner": owner})
