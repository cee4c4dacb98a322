"""Counts of mails by the state of their dispatch, and dispatches in `sending`, in the collection `dispatches`."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId
from mailroom.storage.database import Db, guarded
from mailroom.storage.dispatches.document import ids_of_run


@dataclass(frozen=True, slots=True)
class InHand:
    """A dispatch in `sending`: claimed, and perhaps fenced and called."""

    id: DispatchId
    lane: Lane
    claim: ClaimId
    messages: int


@guarded
def mails_by_state(db: Db, run_ids: Sequence[RunId]) -> tuple[dict[DispatchState, int], list[InHand]]:
    """Returns (mails of these runs by the state of their dispatch, dispatches in `sending`). One query for each run."""
    in_hand = {"id": "$_id", "lane": "$lane", "claim": "$claim_id", "messages": "$messages"}
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
            sending += [InHand(**one) for one in row["in_hand"]]
    return mails, sending


@guarded
def in_hand_anywhere(db: Db, *, limit: int) -> list[InHand]:
    """Dispatches in `sending`, of every run and single mail."""
    query = {"lane": {"$gt": ""}, "state": DispatchState.SENDING}  # any lane: it leads to the index of what is open
    rows = db.dispatches.find(query, {"lane": 1, "claim_id": 1, "messages": 1}).limit(limit)
    return [InHand(DispatchId(d["_id"]), Lane(d["lane"]), ClaimId(d["claim_id"]), d["messages"]) for d in rows]
