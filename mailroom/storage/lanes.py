"""Collection `lanes`: the highest token of each lane, and the reason of a waiting lane.

    _id         lane: `schedule/<id>`, or `mail/<n>` for single mails
    token       int, the highest token that a holder wrote here; only ever grows
    sender      the holder that wrote the token
    taken_at    when the token was written
    touched     int, raised by every decision under the token: so a decision and a take-over of the same lane always
                collide, and one of them fails
    waits_until no claim before this time, because of the account's fault (429, quota, key)
    waits_why   the provider's words, for a person

Written by the lane's holder. Read by claims and pages, by _id, or by `waits_until` (sparse index).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from pymongo import IndexModel, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError

from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import Lane, Token
from mailroom.storage.database import Db, Session, guarded
from mailroom.storage.guard import _MAKER, LaneGuard

COLLECTION: Final = "lanes"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("waits_until", 1)], sparse=True),)
_DUPLICATE_KEY: Final = 11000


@guarded
def raise_tokens(db: Db, tokens: Mapping[Lane, Token], sender: str, *, now: datetime) -> set[Lane]:
    """Write these tokens to their lanes. Returns the taken lanes, those with a lower stored token or with
    none. A lane with an equal or higher token is left out."""
    if not tokens:
        return set()
    # If the stored token is not lower, the filter matches nothing and the upsert meets the existing _id: refused.
    writes = [
        UpdateOne(
            {"_id": lane, "token": {"$lt": token}},
            {"$set": {"token": token, "sender": sender, "taken_at": now}},
            upsert=True,
        )
        for lane, token in tokens.items()
    ]
    refused: set[int] = set()
    try:
        db.lanes.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"]
        if any(failure["code"] != _DUPLICATE_KEY for failure in failures):
            raise
        refused = {failure["index"] for failure in failures}
    return {lane for index, lane in enumerate(tokens) if index not in refused}


@contextmanager
def under(db: Db, tokens: Mapping[Lane, Token], session: Session) -> Iterator[LaneGuard]:
    """Inside a transaction: the guard of decisions about these lanes. Each token is still its lane's highest, and any
    take-over collides with the transaction.

    Raises StaleToken for the first lane with another token; the caller must then abort the transaction.
    """
    _touch(db, tokens, session)
    guard = LaneGuard(session, made_by=_MAKER)
    try:
        yield guard
    finally:
        guard.end()


def _touch(db: Db, tokens: Mapping[Lane, Token], session: Session) -> None:
    together: dict[Token, list[Lane]] = {}  # lanes that were taken at once have one token
    for lane, token in tokens.items():
        together.setdefault(token, []).append(lane)
    writes = [
        UpdateMany({"_id": {"$in": held}, "token": token}, {"$inc": {"touched": 1}}) for token, held in together.items()
    ]
    if db.lanes.bulk_write(writes, ordered=False, session=session).matched_count == len(tokens):
        return
    stored = {doc["_id"]: doc["token"] for doc in db.lanes.find({"_id": {"$in": list(tokens)}}, session=session)}
    for lane, token in tokens.items():
        if stored.get(lane) != token:
            raise StaleToken(lane, token)


def collide(db: Db, lanes: Collection[Lane], session: Session) -> None:
    """Inside a transaction of a writer that does not hold the lanes: collide with every decision of their holders."""
    db.lanes.update_many({"_id": {"$in": sorted(lanes)}}, {"$inc": {"touched": 1}}, session=session)


@guarded
def make_wait(db: Db, waits: Mapping[Lane, tuple[Token, datetime, str]]) -> None:
    """Let each lane wait until a time, if its token is still the highest. `waits`: lane to (token, end, reason)."""
    writes = [
        UpdateOne({"_id": lane, "token": token}, {"$set": {"waits_until": until, "waits_why": why}})
        for lane, (token, until, why) in waits.items()
    ]
    if writes:
        db.lanes.bulk_write(writes, ordered=False)


@guarded
def waiting(db: Db, *, now: datetime) -> dict[Lane, tuple[datetime, str]]:
    """Every lane that waits at `now`, with (end of the wait, reason)."""
    docs = db.lanes.find({"waits_until": {"$gt": now}}, {"waits_until": 1, "waits_why": 1})
    return {Lane(doc["_id"]): (doc["waits_until"], doc["waits_why"]) for doc in docs}


@guarded
def why_waiting(db: Db, lane: Lane, *, now: datetime) -> tuple[datetime, str] | None:
    """(End of the wait, reason) of this lane; None if it does not wait."""
    doc = db.lanes.find_one({"_id": lane, "waits_until": {"$gt": now}}, {"waits_until": 1, "waits_why": 1})
    return (doc["waits_until"], doc["waits_why"]) if doc else None
