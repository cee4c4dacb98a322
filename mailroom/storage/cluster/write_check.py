"""Collection `cluster`: a small test write, to detect a MongoDB that takes no writes.

_id         'tried'
at          time of the last successful test write
"""

from collections.abc import Mapping
from typing import Any, Final

import pymongo

from mailroom.domain.errors import TakesNoWrites
from mailroom.storage.database import DISK_IS_FULL, Db, guarded

_TRY_S: Final = 3.0
_LEAST_ROOM: Final = 16 * 1024 * 1024  # bytes, of MongoDB's largest document


@guarded
def check_writes(db: Db) -> None:
    """Write one small document, journaled by a majority. Raises TakesNoWrites, Unavailable."""
    with pymongo.timeout(_TRY_S):
        db.cluster.update_one({"_id": "tried"}, [{"$set": {"at": "$$NOW"}}], upsert=True)
        # A small write still fits into an existing page long after a mail no longer fits.
        if not has_room(db.command("dbStats")):
            raise TakesNoWrites("MongoDB", DISK_IS_FULL)


def has_room(stats: Mapping[str, Any]) -> bool:
    """True if the disk of MongoDB's data has room for the largest document, or if MongoDB reports no figures."""
    total, used = stats.get("fsTotalSize"), stats.get("fsUsedSize")
    return total is None or used is None or total - used >= _LEAST_ROOM
