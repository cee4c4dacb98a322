"""Collection `attachments`: the files that campaigns carry, each once, whoever names it. Never changed.

    _id         the SHA-256 of its content, in hexadecimal
    content     bytes
    expires_at  when a file is removed that no schedule's content names; absent from the transaction on that names it:
                contents are never removed, and neither are their files

Index `expires_at` (TTL).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from pymongo import IndexModel

from mailroom.storage.database import Db, Session, guarded, insert_once

COLLECTION: Final = "attachments"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("expires_at", 1)], expireAfterSeconds=0),)
_STAGED_FOR: Final = timedelta(days=1)


@guarded
def stage(db: Db, files: Mapping[str, bytes], *, now: datetime) -> None:
    """Write files, by their digests. They are nobody's until `keep`."""
    expires_at = now + _STAGED_FOR
    for digest, content in files.items():
        insert_once(db.attachments, [{"_id": digest, "content": content, "expires_at": expires_at}])
    staged = {"_id": {"$in": list(files)}, "expires_at": {"$exists": True}}
    db.attachments.update_many(staged, {"$max": {"expires_at": expires_at}})


def keep(db: Db, digests: Collection[str], *, session: Session) -> None:
    """Keep these files, in the transaction that stores content which names them. Raises LookupError."""
    if not digests:
        return
    named = {"_id": {"$in": sorted(digests)}}
    # A change of each: a file that is removed at the same moment makes the transaction begin anew.
    kept = db.attachments.update_many(named, {"$unset": {"expires_at": ""}}, session=session)
    if kept.matched_count != len(digests):
        raise LookupError("a file of this content is not stored")


@guarded
def get_many(db: Db, digests: Collection[str]) -> dict[str, bytes]:
    """The contents of these files, by their digests."""
    return {doc["_id"]: bytes(doc["content"]) for doc in db.attachments.find({"_id": {"$in": sorted(digests)}})}
