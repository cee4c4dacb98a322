"""Dispatches that may be claimed, are claimed, or are in `sending`, in the collection `dispatches` (see document.py).

A claim is conditional on the state that was read, under the guard of its lane.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import UpdateMany, UpdateOne

from mailroom.domain.dispatches.model import ALONE_AFTER_CRASHES, Claim, Claimable, Claimant, Claimed, InQueue
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.dispatches.document import (
    FOR_CLAIM,
    IS_OPEN,
    arriving,
    claim_of,
    claimable_of,
    claimed_of,
    leaving,
)
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard

# In index order: for each state and rank, the longest waiting dispatches come first.
_LOOKED_AT_OF_A_LANE: Final = 1_000
_NOT_ALONE: Final[Document] = {"crashes": {"$not": {"$gte": ALONE_AFTER_CRASHES}}}  # of dispatches that may go together
_BY_RANK: Final = [("rank", 1), ("not_before", 1)]
_PLACE: Final = {"rank": 1, "not_before": 1, "lane": 1}
_LANES_A_LOOK: Final = 190  # MongoDB merges this many ordered index scans; with more it sorts in memory


@dataclass(frozen=True, slots=True)
class ClaimedTogether:
    """A claim, and the pending dispatches of its lane to move to `sending`."""

    claim: Claim
    dispatches: Sequence[Claimable]


@guarded
def lanes_with_work(db: Db, *, now: datetime, limit: int, leave_out: Sequence[Lane]) -> list[Lane]:
    """Lanes with a dispatch that may be claimed now, with a doubt to reconcile, or with a dispatch in `sending`, whose
    holder may be gone.

    Each lane appears once. The index scan goes from lane to lane, however many dispatches are pending.
    """
    rows = db.dispatches.aggregate(stages_of_lanes_with_work(now=now, leave_out=leave_out, limit=limit), hint="by_rank")
    return [Lane(row["_id"]) for row in rows]


def stages_of_lanes_with_work(*, now: datetime, leave_out: Collection[Lane], limit: int) -> list[Document]:
    """The stages of `lanes_with_work`, for the index `by_rank`."""
    due = {"lane": {"$nin": list(leave_out)}, **IS_OPEN, "not_before": {"$lte": now}}
    return [{"$match": due}, {"$group": {"_id": "$lane"}}, {"$limit": limit}]


@guarded
def waiting_since(db: Db, lanes: Sequence[Lane]) -> dict[Lane, datetime]:
    """The earliest `not_before` among the open dispatches of each lane. Lanes without open dispatches are absent."""
    since: dict[Lane, datetime] = {}
    for lane in lanes:
        first: list[Document] = [{"$match": {"lane": lane, **IS_OPEN}}, {"$limit": _LOOKED_AT_OF_A_LANE}]
        oldest = {"$group": {"_id": "$lane", "at": {"$min": "$not_before"}}}
        for row in db.dispatches.aggregate([*first, oldest], hint="by_rank"):
            since[lane] = row["at"]
    return since


@guarded
def lanes_to_reconcile(
    db: Db, *, now: datetime, limit: int, leave_out: Sequence[Lane] = (), among: Sequence[Lane] | None = None
) -> list[Lane]:
    """Lanes with a doubt to reconcile, or with a dispatch in `sending`: the work that goes on while claims are barred.

    The index scan skips `pending` dispatches, however many there are.
    """
    wanted: Document = {"$in": list(among)} if among is not None else {"$gt": ""}
    lanes: list[Lane] = []
    for state in (DispatchState.SENDING, DispatchState.IN_DOUBT):  # a query for both states would scan the whole index
        due = {"lane": {**wanted, "$nin": list(leave_out)}, "state": state, "not_before": {"$lte": now}}
        stages: list[Document] = [{"$match": due}, {"$group": {"_id": "$lane"}}, {"$limit": limit}]
        lanes += [Lane(row["_id"]) for row in db.dispatches.aggregate(stages, hint="by_rank")]
    return lanes


@guarded
def lanes_of_waiting_runs(db: Db, runs: Sequence[RunId], *, now: datetime, limit: int) -> list[Lane]:
    """Lanes in which a dispatch of these runs may be claimed now."""
    due = {"run_id": {"$in": list(runs)}, "state": DispatchState.PENDING, "not_before": {"$lte": now}}
    stages: list[Document] = [{"$match": due}, {"$group": {"_id": "$lane"}}, {"$limit": limit}]
    return [Lane(row["_id"]) for row in db.dispatches.aggregate(stages, hint="open_of_run_by_rank")]


@guarded
def claimable_of_runs(
    db: Db, runs: Sequence[RunId], *, now: datetime, limit: int, down_to: Rank = Rank.CAMPAIGN
) -> list[Claimable]:
    """As `claimable`, for these runs only: another run in their lanes is held, and its dispatches are not read."""
    waiting: list[Claimable] = []
    for start in range(0, len(runs), _LANES_A_LOOK):
        query: Document = {"run_id": {"$in": list(runs[start : start + _LANES_A_LOOK])}}
        query |= {"state": DispatchState.PENDING, "not_before": {"$lte": now}}
        waiting += _first(db, query, down_to, limit, by="open_of_run_by_rank")
    return most_urgent(waiting, limit)


def most_urgent(waiting: Sequence[Claimable], limit: int) -> list[Claimable]:
    """The first `limit` of these dispatches, by rank, then longest waiting."""
    return sorted(waiting, key=lambda dispatch: (dispatch.rank, dispatch.not_before))[:limit]


@guarded
def claimable(
    db: Db, lanes: Sequence[Lane], *, now: datetime, limit: int, down_to: Rank = Rank.CAMPAIGN
) -> list[Claimable]:
    """Dispatches of these lanes that may be claimed now, by rank, then longest waiting first. Dispatches that go alone
    are left out, as are ranks below `down_to`."""
    waiting: list[Claimable] = []
    for some in _a_look_each(_lanes_with_pending(db, lanes, now, down_to)):
        waiting += _first(db, _waiting(some, now), down_to, limit, by="by_rank")
    return most_urgent(waiting, limit)


@guarded
def queue(db: Db, lanes: Sequence[Lane], *, now: datetime, limit: int) -> list[InQueue]:
    """The places of what `claimable` finds, for more of them than are claimed at once."""
    found: list[InQueue] = []
    for some in _a_look_each(_lanes_with_pending(db, lanes, now, Rank.CAMPAIGN)):
        query = _waiting(some, now) | _NOT_ALONE
        rows = db.dispatches.find(query, _PLACE).sort(_BY_RANK).hint("by_rank").limit(limit)
        found += [
            InQueue(Rank(row.get("rank", Rank.CAMPAIGN)), row["not_before"], row["_id"], row["lane"]) for row in rows
        ]
    return sorted(found)[:limit]


@guarded
def claimable_among(db: Db, ids: Sequence[DispatchId], lanes: Collection[Lane], *, now: datetime) -> list[Claimable]:
    """As `claimable`, of these dispatches only. `lanes`: any number of them, compared after the read."""
    query = {"_id": {"$in": list(ids)}, "state": DispatchState.PENDING, "not_before": {"$lte": now}} | _NOT_ALONE
    # By another index, of pending dispatches, the read would pass over the dead entries that this one is to avoid.
    found = [claimable_of(doc) for doc in db.dispatches.find(query, FOR_CLAIM).hint("_id_")]
    return most_urgent([one for one in found if one.lane in lanes], len(found))


@guarded
def newly_due(
    db: Db,
    lanes: Sequence[Lane],
    *,
    due_since: datetime,
    now: datetime,
    limit: int,
    more_urgent_than: Rank | None = None,
) -> list[Claimable]:
    """As `claimable`, without dispatches that were due before `due_since`; of more than `limit`, any.
    `more_urgent_than`: only dispatches before this rank.

    A claimed dispatch leaves a dead entry in each index of pending dispatches, for as long as MongoDB keeps history
    (see docs/operations.md). A scan of `by_rank` passes over the dead entries for each lane, up to the next live one.
    This index is ordered by time: its scan passes over those since `due_since`, once.
    """
    query = _waiting(lanes, now) | _NOT_ALONE | {"not_before": {"$gte": due_since, "$lte": now}}
    if more_urgent_than is not None:
        query["rank"] = {"$lt": more_urgent_than}
    rows = db.dispatches.find(query, FOR_CLAIM).hint("newly_due").limit(limit)
    return most_urgent([claimable_of(doc) for doc in rows], limit)


@guarded
def claimable_alone(
    db: Db, lanes: Sequence[Lane], *, now: datetime, leave_out: Sequence[RunId] = ()
) -> list[Claimable]:
    """At most one dispatch that goes alone and may be claimed now; claim it only while nothing else is in hand.
    `leave_out`: held runs."""
    query = _waiting(lanes, now) | {"crashes": {"$gte": ALONE_AFTER_CRASHES}}
    if leave_out:
        query["run_id"] = {"$nin": list(leave_out)}
    return [claimable_of(doc) for doc in db.dispatches.find(query, FOR_CLAIM).hint("rare").limit(1)]


def put_off(db: Db, until: Mapping[DispatchId, datetime], why: str, *, guard: LaneGuard) -> None:
    """Let pending dispatches wait until these times, with the reason. Those that are not pending any more stay."""
    pending = leaving(DispatchTrigger.CLAIMED)
    db.dispatches.bulk_write(
        [
            UpdateOne({"_id": id_, "state": pending}, {"$set": {"not_before": at, "reason": why}})
            for id_, at in until.items()
        ],
        ordered=False,
        session=guard.session,
    )


def claim(db: Db, wanted: Sequence[ClaimedTogether], claimant: Claimant, *, now: datetime, guard: LaneGuard) -> int:
    """`pending -> sending` for many dispatches of many lanes. Returns how many were claimed.

    Dispatches that another writer changed since the read are not claimed. Read the result with `claimed`.
    """
    writes: list[UpdateMany] = []
    for together in wanted:
        claim = together.claim
        newest = {"token": claim.token, "claim_id": claim.id, "sender": claim.sender, "memory": claim.redis_identity}
        by_attempt: dict[int, list[str]] = {}
        for dispatch in together.dispatches:
            by_attempt.setdefault(dispatch.attempt, []).append(dispatch.id)
        for attempt, ids in by_attempt.items():
            step = {
                "sender": claim.sender,
                "lane": claim.lane,
                "token": claim.token,
                "claim_id": claim.id,
                "attempt": attempt + 1,
                "provider": claimant.provider,
            }
            where = {"provider": claimant.provider, "account": claimant.account}
            facts = {**where, "claimed_at": now, "attempt": attempt + 1}
            writes.append(
                UpdateMany(
                    {
                        "_id": {"$in": ids},
                        "lane": claim.lane,
                        "state": leaving(DispatchTrigger.CLAIMED),
                        "attempt": attempt,
                    },
                    {
                        "$set": {"state": arriving(DispatchTrigger.CLAIMED), **newest, **facts},
                        "$push": {"trail": onto_trail(now, "claimed", **step)},
                    },
                )
            )
    return db.dispatches.bulk_write(writes, ordered=False, session=guard.session).matched_count if writes else 0


@guarded
def claimed(db: Db, claims: Mapping[ClaimId, Claim]) -> list[Claimed]:
    """The dispatches under these claims, read back after the commit."""
    lanes = sorted({claim.lane for claim in claims.values()})
    query = {"lane": {"$in": lanes}, "state": DispatchState.SENDING, "claim_id": {"$in": list(claims)}}
    rows = db.dispatches.find(query, {"trail": 0})
    return [claimed_of(doc, claims[doc["claim_id"]]) for doc in rows]


@guarded
def in_sending(db: Db, lanes: Sequence[Lane], *, leave_out: Sequence[ClaimId], limit: int) -> list[Claimed]:
    """Dispatches of these lanes in `sending` under other claims than `leave_out`, each with its claim."""
    query = {"lane": {"$in": list(lanes)}, "state": DispatchState.SENDING, "claim_id": {"$nin": list(leave_out)}}
    rows = db.dispatches.find(query, {"trail": 0}).limit(limit)
    return [claimed_of(doc, claim_of(doc)) for doc in rows]


def _lanes_with_pending(db: Db, lanes: Sequence[Lane], now: datetime, down_to: Rank) -> list[Lane]:
    """The lanes among these with pending dispatches that are due, found by one scan of the index.

    A scan of a lane without live entries runs on over the dead entries of the next lanes (see `newly_due`), up to a
    live one. A merge of scans, one for each lane, does this for each empty lane; one scan does it once.
    """
    query = _down_to(_waiting(lanes, now), down_to)
    rows = db.dispatches.aggregate([{"$match": query}, {"$group": {"_id": "$lane"}}], hint="by_rank")
    return [Lane(row["_id"]) for row in rows]


def _a_look_each(lanes: Sequence[Lane]) -> Iterator[Sequence[Lane]]:
    return (lanes[start : start + _LANES_A_LOOK] for start in range(0, len(lanes), _LANES_A_LOOK))


def _down_to(query: Document, rank: Rank) -> Document:
    return query | {"rank": {"$lte": rank}} if rank < Rank.CAMPAIGN else query


def _first(db: Db, query: Document, down_to: Rank, limit: int, *, by: str) -> list[Claimable]:
    """The most urgent dispatches of the query by this index, without dispatches that go alone."""
    query = _down_to(query | _NOT_ALONE, down_to)
    rows = db.dispatches.find(query, FOR_CLAIM).sort(_BY_RANK).hint(by).limit(limit)
    return [claimable_of(doc) for doc in rows]


def _waiting(lanes: Sequence[Lane], now: datetime) -> Document:
    return {"lane": {"$in": list(lanes)}, "state": DispatchState.PENDING, "not_before": {"$lte": now}}
