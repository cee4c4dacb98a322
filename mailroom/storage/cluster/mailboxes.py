"""Collection `cluster`: the mailboxes that are read, each by one process at a time.

_id         'mailbox/' and the name of the mailbox
holder, until  who reads it, and until when by MongoDB's clock, unless it says so again
read_at     when it was last read to its end;  since  when it was first looked at
fault       why it could not be read the last time; absent if it could

Reading is safe without the lease, because every mail is taken in once: the lease only spares work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.storage.cluster.server_clock import has_come, in_seconds
from mailroom.storage.database import Db, guarded

_PREFIX: Final = "mailbox/"


@dataclass(frozen=True, slots=True)
class ReadMailbox:
    """`last`: when the mailbox was last read to its end, or else first looked at. `fault`: '' if it can be read."""

    name: str
    last: datetime
    fault: str


@guarded
def hold(db: Db, name: str, *, by: str, for_s: float) -> bool:
    """True if this process reads the mailbox from now on for `for_s` seconds; False while another one does."""
    id_ = f"{_PREFIX}{name}"
    db.cluster.update_one({"_id": id_}, [{"$set": {"since": {"$ifNull": ["$since", "$$NOW"]}}}], upsert=True)
    free = {"$or": [{"$eq": ["$holder", by]}, has_come("until")]}
    taken = [{"$set": {"holder": {"$literal": by}, "until": in_seconds(for_s)}}]
    return bool(db.cluster.update_one({"_id": id_, "$expr": free}, taken).matched_count)


@guarded
def let_go(db: Db, name: str, *, by: str) -> None:
    """Let another process read the mailbox at once."""
    db.cluster.update_one({"_id": f"{_PREFIX}{name}", "holder": by}, {"$unset": {"holder": "", "until": ""}})


@guarded
def note_read(db: Db, name: str) -> None:
    """Note that the mailbox was read to its end now."""
    db.cluster.update_one({"_id": f"{_PREFIX}{name}"}, [{"$set": {"read_at": "$$NOW"}}, {"$unset": "fault"}])


@guarded
def note_fault(db: Db, name: str, why: str) -> None:
    db.cluster.update_one({"_id": f"{_PREFIX}{name}"}, {"$set": {"fault": why}})


@guarded
def states(db: Db, names: Sequence[str]) -> list[ReadMailbox]:
    """Those of these mailboxes that were looked at before."""
    docs = db.cluster.find({"_id": {"$in": [f"{_PREFIX}{name}" for name in names]}})
    return [
        ReadMailbox(doc["_id"].removeprefix(_PREFIX), doc.get("read_at") or doc["since"], doc.get("fault", ""))
        for doc in docs
    ]
