"""Counts of mails by the state of their dispatch, dispatches in `sending`, and the queue, in the collection
`dispatches`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailroom.domain.capacity import Due
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId
from mailroom.domain.reports import WITHOUT_WEBHOOKS
from mailroom.storage.database import MOST_COUNTED, Db, Document, Session, guarded
from mailroom.storage.dispatches.document import ids_of_run


@dataclass(frozen=True, slots=True)
class InHand:
    """A dispatch in `sending`: claimed, and perhaps fenced and called. `redis_identity`: that of its claim."""

    id: DispatchId
    lane: Lane
    claim: ClaimId
    messages: int
    redis_identity: str


@guarded
def bounces_unmeasured(db: Db, runs: Sequence[RunId], session: Session) -> dict[RunId, int]:
    """For each run the mails that a provider without webhooks has accepted and whose bounces come to no mailbox that is
    read, at the moment of the snapshot. One query for each run, which reads its dispatches."""
    unread: Document = {
        "provider": WITHOUT_WEBHOOKS,
        "state": DispatchState.ACCEPTED,
        "accepted.bounces_read": {"$ne": True},
    }
    mails: dict[RunId, int] = {}
    for run_id in runs:
        stages: list[Document] = [
            {"$match": {"_id": ids_of_run(run_id), **unread}},
            {"$group": {"_id": None, "mails": {"$sum": "$messages"}}},
        ]
        mails[run_id] = sum(row["mails"] for row in db.dispatches.aggregate(stages, session=session))
    return mails


@guarded
def mails_by_state(db: Db, run_ids: Sequence[RunId]) -> tuple[dict[DispatchState, int], list[InHand]]:
    """Returns (mails of these runs by the state of their dispatch, dispatches in `sending`). One query for each run."""
    in_hand = {
        "id": "$_id",
        "lane": "$lane",
        "claim": "$claim_id",
        "messages": "$messages",
        "redis_identity": "$memory",
    }
    is_sending = {"$eq": ["$state", DispatchState.SENDING]}
    mails: dict[DispatchState, int] = {}
    sending: list[InHand] = []
    for run_id in run_ids:
        rows = db.dispatches.aggregate(
            [
                {"$match": {"_id": ids_of_run(run_id)}},
                {
                    "$group": {
                        "_id": "$state",
                        "mails": {"$sum": "$messages"},
                        "in_hand": {"$push": {"$cond": [is_sending, in_hand, "$$REMOVE"]}},
                    }
                },
            ]
        )
        for row in rows:
            state = DispatchState(row["_id"])
            mails[state] = mails.get(state, 0) + row["mails"]
            sending += [InHand(**fields) for fields in row["in_hand"]]
    return mails, sending


@guarded
def in_hand_anywhere(db: Db, *, limit: int) -> list[InHand]:
    """Dispatches in `sending`, of every run and single mail."""
    query = {
        "lane": {"$gt": ""},
        "state": DispatchState.SENDING,
    }  # any lane: this condition selects the index of open dispatches
    rows = db.dispatches.find(query, {"lane": 1, "claim_id": 1, "messages": 1, "memory": 1}).limit(limit)
    return [
        InHand(DispatchId(d["_id"]), Lane(d["lane"]), ClaimId(d["claim_id"]), d["messages"], d["memory"]) for d in rows
    ]


@guarded
def due_by_rank(db: Db, *, now: datetime, barred: Collection[Lane], most: int = MOST_COUNTED) -> dict[Rank, Due]:
    """The dispatches that could be claimed now, by rank; the first `most` in the order of their lanes. `barred`: lanes
    in which nothing is claimed now. The index alone answers this."""
    due = {"lane": {"$gt": ""}, "state": DispatchState.PENDING, "not_before": {"$lte": now}}
    is_barred = {"$in": ["$_id.lane", sorted(barred)]}
    stages: list[Document] = [
        {"$match": due},
        {"$limit": most},
        {
            "$group": {
                "_id": {"lane": "$lane", "rank": {"$ifNull": ["$rank", Rank.CAMPAIGN]}},
                "dispatches": {"$sum": 1},
                "oldest": {"$min": "$not_before"},
            }
        },
        {
            "$group": {
                "_id": "$_id.rank",
                "dispatches": {"$sum": "$dispatches"},
                "oldest": {"$min": "$oldest"},
                "free": {"$sum": {"$cond": [is_barred, 0, "$dispatches"]}},
                "lanes": {"$sum": {"$cond": [is_barred, 0, 1]}},
            }
        },
    ]
    rows = db.dispatches.aggregate(stages, hint="by_rank")
    return {Rank(row.pop("_id")): Due(**row) for row in rows}
