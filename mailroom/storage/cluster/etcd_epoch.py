"""Collection `cluster`: what we remember of etcd's memory, so that a restored etcd is noticed.

    _id         `etcd`
    cluster_id  etcd's cluster id, '' before the first answer
    revision    the highest revision we have seen
    epoch       int, raised when etcd came back with another id or a lower revision

Tokens are `epoch * 2^40 + create revision`, so they keep growing after etcd lost its memory.

The order matters: first `recall`, then ask etcd, then `epoch_for`. What etcd answers after the recall is at least as
new as what was recalled, unless etcd lost its memory in between.
"""

from dataclasses import dataclass
from typing import Final

from pymongo import ReturnDocument

from mailroom.storage.database import Db, guarded

COLLECTION: Final = "cluster"


@dataclass(frozen=True, slots=True)
class EtcdMemory:
    """What was known of etcd at one moment."""

    cluster_id: str
    revision: int
    epoch: int


@guarded
def recall(db: Db) -> EtcdMemory:
    """What is recorded of etcd now."""
    doc = db.cluster.find_one_and_update(
        {"_id": "etcd"},
        {"$setOnInsert": {"cluster_id": "", "revision": 0, "epoch": 1}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert doc is not None  # an upsert always leaves one
    return EtcdMemory(doc["cluster_id"], doc["revision"], doc["epoch"])


@guarded
def raise_epoch(db: Db, least: int) -> None:
    """Make every later token higher than all of the epochs up to `least`."""
    db.cluster.update_one({"_id": "etcd"}, [{"$set": {"epoch": {"$add": [{"$max": ["$epoch", least]}, 1]}}}])


@guarded
def epoch_for(db: Db, recalled: EtcdMemory, *, cluster_id: str, revision: int) -> int:
    """The epoch for tokens of this revision, which etcd told after `recalled` was read; raised first if etcd lost its
    memory. Of many senders that see the same loss one raises."""
    if recalled.cluster_id in ("", cluster_id) and recalled.revision <= revision:
        db.cluster.update_one(
            {"_id": "etcd", "epoch": recalled.epoch},
            {"$max": {"revision": revision}, "$set": {"cluster_id": cluster_id}},
        )
        return recalled.epoch
    db.cluster.update_one(
        {"_id": "etcd", "epoch": recalled.epoch},
        {"$set": {"cluster_id": cluster_id, "revision": revision}, "$inc": {"epoch": 1}},
    )
    return recall(db).epoch
