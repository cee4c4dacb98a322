"""Collection `sign_in_links`: one document for each link that signs one browser in, once.

    _id       SHA-256 of the secret in the link (32 random bytes: no slow hash is needed)
    token_id  the token that the browser is signed in with
    ends_at   end of the link, used or not

Written by `mailroom up`, and removed by the first use.

Indexes: `ends_at` (TTL).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import IndexModel

from mailroom.storage.database import Db, guarded

COLLECTION: Final = "sign_in_links"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("ends_at", 1)], name="ended", expireAfterSeconds=0),)


@guarded
def add(db: Db, digest: str, *, token_id: str, ends_at: datetime) -> None:
    db.sign_in_links.insert_one({"_id": digest, "token_id": token_id, "ends_at": ends_at})


@guarded
def take(db: Db, digest: str, *, now: datetime) -> str | None:
    """Use a link up. Returns its token's id; None if there is no such link, or it was used or has ended."""
    doc = db.sign_in_links.find_one_and_delete({"_id": digest, "ends_at": {"$gt": now}})
    return doc["token_id"] if doc else None
