"""Collection `cluster`: etcd's identity and progress, to detect a restored etcd.

    _id         `etcd`
    cluster_id  etcd's cluster id, '' before the first answer
    revision    int, the highest revision seen
    epoch       int, raised when etcd returns with another id or a lower revision

Written by senders as they take lanes, and by the recovery after a restore. Tokens are `epoch * 2^40 + create revision`,
so they keep growing after etcd lost its data.

The order matters: first `recall`, then ask etcd, then `epoch_for`. An answer of etcd after the recall is at least as
new as the recalled record, unless etcd has lost its data.
"""

from dataclasses import dataclass
from typing import Final

from pymongo import ReturnDocument

from mailroom.storage.database import Db, guarded

COLLECTION: Final = "cluster"


@dataclass(frozen=True, slots=True)
class EtcdMemory:
    """The record of etcd at one moment."""

    cluster_id: str
    revision: int
    epoch: int


@guarded
def recall(db: Db) -> EtcdMemory:
    """The present record of etcd; created if absent."""
    doc = db.cluster.find_one_and_update(
        {"_id": "etcd"},
        {"$setOnInsert": {"cluster_id": "", "revision": 0, "epoch": 1}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert doc is not None  # an upsert always returns a document
    return EtcdMemory(doc["cluster_id"], doc["revision"], doc["epoch"])


@guarded
def raise_epoch(db: Db, least: int) -> None:
    """Make every later token higher than all tokens of epochs up to `least`."""
    db.cluster.update_one({"_id": "etcd"}, [{"$set": {"epoch": {"$add": [{"$max": ["$epoch", least]}, 1]}}}])


@guarded
def epoch_for(db: Db, recalled: EtcdMemory, *, cluster_id: str, revision: int) -> int:
    """The epoch for tokens of this revision, which etcd answered after `recalled` was read. The epoch is raised first
    if etcd lost its data. If several senders see the same loss, one of them raises it."""
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
