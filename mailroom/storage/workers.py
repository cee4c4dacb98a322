"""Collection `workers`: one document for each process that works here, as of its last check-in.

    _id            the name of the process, unique for all time; the `sender` of a sender's claims
    kind           see domain/workers.py
    host, address, pid, version, protocol, since
                   who the process is; the same in each check-in. `protocol`: see domain/sender_rules.py
    lanes          the lanes that a sender holds. Always there, empty where none is held: senders of earlier versions
                   read it in every document
    in_flight      dispatches that a sender has claimed and not recorded; of the others requests that are being answered
    check_ins      number of check-ins
    checked_in_at  time of the last check-in, by MongoDB's clock

Each process writes its own document every few seconds, in one write: a sender at the end of a completed round, API and
pages while they serve. It removes the document when it ends in order; else the TTL does, an hour after the last
check-in. Senders of earlier versions write `lanes` and `checked_in_at` alone, later ones everything but `protocol`.

Indexes: `checked_in_at` (TTL) also finds who is silent, who is not, and which senders are too old. A page of
the list reads `_id`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import IndexModel

from mailroom.domain.ids import Lane
from mailroom.domain.workers import MOST_LANES_SHOWN, Activity, Worker, WorkerIdentity, WorkerKind
from mailroom.storage.database import Db, Document, briefly, guarded

COLLECTION: Final = "workers"
_KEPT_S: Final = 3_600
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("checked_in_at", 1)], expireAfterSeconds=_KEPT_S),)
_OF_EARLIER_VERSIONS: Final = WorkerKind.SENDER  # nobody else checked in


@briefly
def check_in(db: Db, who: WorkerIdentity, activity: Activity) -> None:
    facts = {
        "kind": who.kind,
        "host": who.host,
        "address": who.address,
        "pid": who.pid,
        "version": who.version,
        "protocol": who.protocol,
        "since": who.since,
        "lanes": sorted(activity.lanes),
        "in_flight": activity.in_flight,
    }
    change = {"$set": facts, "$inc": {"check_ins": 1}, "$currentDate": {"checked_in_at": True}}
    db.workers.update_one({"_id": who.id}, change, upsert=True)


@briefly
def remove(db: Db, worker_id: str) -> None:
    """Forget a process that has ended. No change if it is not there."""
    db.workers.delete_one({"_id": worker_id})


@guarded
def lanes_held(db: Db, *, since: datetime) -> set[Lane]:
    """Every lane that a sender held at a check-in at `since` or later."""
    rows = db.workers.find({"checked_in_at": {"$gte": since}}, {"lanes": 1})
    return {Lane(lane) for doc in rows for lane in doc["lanes"]}


@guarded
def page(db: Db, *, after: str, limit: int) -> list[Worker]:
    """A page in the order of the ids, in which the processes of a host stand together. `after`: the last id of the page
    before."""
    query: Document = {"_id": {"$gt": after}} if after else {}
    return _found(db, query, {"_id": 1}, limit)


@guarded
def silent(db: Db, *, since: datetime, limit: int) -> list[Worker]:
    """Processes whose last check-in was before `since`, longest silent first."""
    return _found(db, {"checked_in_at": {"$lt": since}}, {"checked_in_at": 1}, limit)


@guarded
def senders_below(db: Db, protocol: int, *, since: datetime, limit: int) -> list[Worker]:
    """Senders of an earlier protocol, or of none, that have checked in at `since` or later."""
    return _below(db, protocol, since, limit, {"kind": {"$in": [_OF_EARLIER_VERSIONS, None]}})


@guarded
def parts_below(db: Db, protocol: int, *, since: datetime, limit: int) -> list[Worker]:
    """The same of processes of every kind."""
    return _below(db, protocol, since, limit, {})


def _below(db: Db, protocol: int, since: datetime, limit: int, kinds: Document) -> list[Worker]:
    earlier = {"$or": [{"protocol": {"$lt": protocol}}, {"protocol": None}]}
    return _found(db, {"checked_in_at": {"$gte": since}, **kinds, **earlier}, {"checked_in_at": 1}, limit)


@guarded
def count_by_kind(db: Db, *, since: datetime) -> dict[str, int]:
    """The number of processes of each kind that have checked in at `since` or later."""
    kind = {"$ifNull": ["$kind", _OF_EARLIER_VERSIONS]}
    rows = db.workers.aggregate(
        [{"$match": {"checked_in_at": {"$gte": since}}}, {"$group": {"_id": kind, "n": {"$sum": 1}}}]
    )
    return {row["_id"]: row["n"] for row in rows}


def _found(db: Db, query: Document, order: Document, limit: int) -> list[Worker]:
    stages: list[Document] = [
        {"$match": query},
        {"$sort": order},
        {"$limit": limit},
        # A sender may hold thousands of lanes: only the first ones leave the server.
        {"$set": {"lanes_count": {"$size": "$lanes"}, "lanes": {"$slice": ["$lanes", MOST_LANES_SHOWN]}}},
    ]
    return [_worker(doc) for doc in db.workers.aggregate(stages)]


def _worker(doc: Document) -> Worker:
    return Worker(
        id=doc["_id"],
        kind=doc.get("kind", _OF_EARLIER_VERSIONS),
        host=doc.get("host"),
        address=doc.get("address"),
        pid=doc.get("pid"),
        version=doc.get("version"),
        protocol=doc.get("protocol"),
        since=doc.get("since"),
        last_check_in=doc["checked_in_at"],
        check_ins=doc.get("check_ins"),
        lanes=tuple(map(Lane, doc["lanes"])),
        lanes_count=doc["lanes_count"],
        in_flight=doc.get("in_flight"),
    )
