"""Dispatches that may be claimed, are claimed, or are in `sending`, in the collection `dispatches` (see document.py).

A claim is conditional on what was read, under the guard of its lane.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateMany

from mailroom.domain.dispatches.model import ALONE_AFTER_CRASHES, Claim, Claimed
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId, ScheduleId, Token
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.dispatches.document import IS_OPEN, arriving, leaving
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard

# In the index' order: of each state and rank those that wait longest come first.
_LOOKED_AT_OF_A_LANE: Final = 1_000
_LANES_A_LOOK: Final = 190  # MongoDB merges so many walks along an index in order; more it sorts in memory


@guarded
def lanes_with_work(db: Db, *, now: datetime, limit: int, leave_out: Sequence[Lane]) -> list[Lane]:
    """Lanes with a dispatch that may be claimed now, with a doubt to ask about, or with one in `sending`, whose
    holder may be gone.

    Each lane once, however many of its dispatches wait: the index is walked from lane to lane.
    """
    due = {"lane": {"$nin": list(leave_out)}, **IS_OPEN, "not_before": {"$lte": now}}
    rows = db.dispatches.aggregate([{"$match": due}, {"$group": {"_id": "$lane"}}, {"$limit": limit}], hint="by_rank")
    return [Lane(row["_id"]) for row in rows]


@guarded
def waiting_since(db: Db, lanes: Sequence[Lane]) -> dict[Lane, datetime]:
    """For each of these lanes with open dispatches: the earliest time from which one of them may go on."""
    found: dict[Lane, datetime] = {}
    for lane in lanes:
        some: list[Document] = [{"$match": {"lane": lane, **IS_OPEN}}, {"$limit": _LOOKED_AT_OF_A_LANE}]
        oldest = {"$group": {"_id": "$lane", "at": {"$min": "$not_before"}}}
        for row in db.dispatches.aggregate([*some, oldest], hint="by_rank"):
            found[lane] = row["at"]
    return found


@guarded
def lanes_to_reconcile(
    db: Db, *, now: datetime, limit: int, leave_out: Sequence[Lane] = (), among: Sequence[Lane] | None = None
) -> list[Lane]:
    """Lanes with a doubt to ask about, or with a dispatch in `sending`: the work that goes on while nothing may be
    claimed.

    The index passes over `pending` dispatches, however many there are.
    """
    wanted: Document = {"$in": list(among)} if among is not None else {"$gt": ""}
    found: list[Lane] = []
    for state in (DispatchState.SENDING, DispatchState.IN_DOUBT):  # one by one: of two states the whole index is walked
        due = {"lane": {**wanted, "$nin": list(leave_out)}, "state": state, "not_before": {"$lte": now}}
        stages: list[Document] = [{"$match": due}, {"$group": {"_id": "$lane"}}, {"$limit": limit}]
        found += [Lane(row["_id"]) for row in db.dispatches.aggregate(stages, hint="by_rank")]
    return found


@guarded
def lanes_of_waiting_runs(db: Db, runs: Sequence[RunId], *, now: datetime, limit: int) -> list[Lane]:
    """Lanes in which something of these runs may be claimed now."""
    due = {"run_id": {"$in": list(runs)}, "state": DispatchState.PENDING, "not_before": {"$lte": now}}
    stages: list[Document] = [{"$match": due}, {"$group": {"_id": "$lane"}}, {"$limit": limit}]
    return [Lane(row["_id"]) for row in db.dispatches.aggregate(stages, hint="open_of_run_by_rank")]


@guarded
def claimable_of_runs(
    db: Db, runs: Sequence[RunId], *, now: datetime, limit: int, down_to: Rank = Rank.CAMPAIGN
) -> list[Mapping[str, Any]]:
    """As `claimable`, for these runs alone: in their lanes another run is held, and is not looked at."""
    by_order = [("rank", 1), ("not_before", 1)]
    found: list[Mapping[str, Any]] = []
    for start in range(0, len(runs), _LANES_A_LOOK):
        some = {"$in": list(runs[start : start + _LANES_A_LOOK])}
        query = {"run_id": some, "state": DispatchState.PENDING, "not_before": {"$lte": now}}
        query["crashes"] = {"$not": {"$gte": ALONE_AFTER_CRASHES}}
        if down_to < Rank.CAMPAIGN:
            query["rank"] = {"$lte": down_to}
        found += db.dispatches.find(query, _FOR_CLAIM).sort(by_order).limit(limit)
    return most_urgent(found, limit)


def most_urgent(found: Sequence[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """The first of these, by rank, then longest waiting."""
    return sorted(found, key=lambda doc: (doc.get("rank", Rank.CAMPAIGN), doc["not_before"]))[:limit]


@guarded
def claimable(
    db: Db, lanes: Sequence[Lane], *, now: datetime, limit: int, down_to: Rank = Rank.CAMPAIGN
) -> list[Mapping[str, Any]]:
    """Dispatches of these lanes that may be claimed now, by rank, then longest waiting first; without those that go
    alone, and of no lower rank than `down_to`."""
    by_order = [("rank", 1), ("not_before", 1)]
    found: list[Mapping[str, Any]] = []
    for start in range(0, len(lanes), _LANES_A_LOOK):
        query = _waiting(lanes[start : start + _LANES_A_LOOK], now)
        query["crashes"] = {"$not": {"$gte": ALONE_AFTER_CRASHES}}
        if down_to < Rank.CAMPAIGN:
            query["rank"] = {"$lte": down_to}
        found += db.dispatches.find(query, _FOR_CLAIM).sort(by_order).limit(limit)
    return most_urgent(found, limit)


@guarded
def claimable_alone(
    db: Db, lanes: Sequence[Lane], *, now: datetime, leave_out: Sequence[RunId] = ()
) -> list[Mapping[str, Any]]:
    """At most one dispatch that may be claimed now, but only while nothing else is in hand. `leave_out`: runs that are
    held."""
    query = _waiting(lanes, now) | {"crashes": {"$gte": ALONE_AFTER_CRASHES}}
    if leave_out:
        query["run_id"] = {"$nin": list(leave_out)}
    return list(db.dispatches.find(query, _FOR_CLAIM).hint("goes_alone").limit(1))


def claim(
    db: Db,
    wanted: Mapping[ClaimId, tuple[Claim, Sequence[Mapping[str, Any]]]],
    provider: str,
    account: str,
    *,
    now: datetime,
    guard: LaneGuard,
) -> int:
    """`pending -> sending` for many dispatches of many lanes. Returns how many were claimed.

    What somebody else changed meanwhile is left alone; `claimed` tells what was got.
    """
    writes: list[UpdateMany] = []
    for claim, waiting in wanted.values():
        newest = {"token": claim.token, "claim_id": claim.id, "sender": claim.sender, "memory": claim.redis_identity}
        by_attempt: dict[int, list[str]] = {}
        for doc in waiting:
            by_attempt.setdefault(doc["attempt"], []).append(doc["_id"])
        for attempt, ids in by_attempt.items():
            step = {
                "sender": claim.sender,
                "lane": claim.lane,
                "token": claim.token,
                "claim_id": claim.id,
                "attempt": attempt + 1,
                "provider": provider,
            }
            made = {"provider": provider, "account": account, "claimed_at": now, "attempt": attempt + 1}
            writes.append(
                UpdateMany(
                    {
                        "_id": {"$in": ids},
                        "lane": claim.lane,
                        "state": leaving(DispatchTrigger.CLAIMED),
                        "attempt": attempt,
                    },
                    {
                        "$set": {"state": arriving(DispatchTrigger.CLAIMED), **newest, **made},
                        "$push": {"trail": onto_trail(now, "claimed", **step)},
                    },
                )
            )
    return db.dispatches.bulk_write(writes, ordered=False, session=guard.session).matched_count if writes else 0


def as_claimed(doc: Mapping[str, Any], claim: Claim, provider: str, account: str, now: datetime) -> Claimed:
    """A waiting dispatch as its claim left it."""
    newest = {"attempt": doc["attempt"] + 1, "provider": provider, "account": account, "claimed_at": now}
    return claimed_of({**doc, **newest}, claim)


@guarded
def claimed(db: Db, claims: Mapping[ClaimId, Claim]) -> list[Claimed]:
    """What these claims got, read back after the commit."""
    lanes = sorted({claim.lane for claim in claims.values()})
    query = {"lane": {"$in": lanes}, "state": DispatchState.SENDING, "claim_id": {"$in": list(claims)}}
    rows = db.dispatches.find(query, {"trail": 0})
    return [claimed_of(doc, claims[doc["claim_id"]]) for doc in rows]


@guarded
def in_sending(db: Db, lanes: Sequence[Lane], *, leave_out: Sequence[ClaimId], limit: int) -> list[Claimed]:
    """Dispatches of these lanes in `sending` under other claims than these, with the claim each stands under."""
    query = {"lane": {"$in": list(lanes)}, "state": DispatchState.SENDING, "claim_id": {"$nin": list(leave_out)}}
    rows = db.dispatches.find(query, {"trail": 0}).limit(limit)
    return [claimed_of(doc, claim_of(doc)) for doc in rows]


def claim_of(doc: Mapping[str, Any]) -> Claim:
    """The claim under which a document stands."""
    return Claim(ClaimId(doc["claim_id"]), Lane(doc["lane"]), Token(doc["token"]), doc["sender"], doc["memory"])


def claimed_of(doc: Mapping[str, Any], claim: Claim) -> Claimed:
    """A document as the dispatch that this claim holds."""
    return Claimed(
        id=DispatchId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        schedule_id=ScheduleId(doc["schedule_id"]) if "schedule_id" in doc else None,
        claim=claim,
        attempt=doc["attempt"],
        tries=doc["tries"],
        revision=doc["revision"],
        messages=doc["messages"],
        digest=doc["digest"],
        provider=doc["provider"],
        account=doc["account"],
        claimed_at=doc["claimed_at"],
        crashes=doc.get("crashes", 0),
        rank=Rank(doc.get("rank", Rank.CAMPAIGN)),
        size=doc.get("size", 0),
        span=doc.get("span", ""),
        cleared=tuple(map(ClaimId, doc.get("cleared", ()))),
    )


def _waiting(lanes: Sequence[Lane], now: datetime) -> Document:
    return {"lane": {"$in": list(lanes)}, "state": DispatchState.PENDING, "not_before": {"$lte": now}}


_FOR_CLAIM: Final = dict.fromkeys(
    (
        *("run_id", "schedule_id", "lane", "attempt", "tries", "revision", "messages", "digest", "crashes"),
        *("rank", "size", "not_before", "span", "cleared"),
    ),
    1,
)
