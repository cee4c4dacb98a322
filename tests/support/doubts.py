"""Dispatches in doubt, and who is asked about them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.doubts import Timing, Traces, Unaskable
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.ids import DispatchId, Lane, MessageId, RunId, Token
from mailroom.providers.base import Answer
from mailroom.services.dispatching.fences import cross_fences
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.services.reconciliation.reconcile import reconcile
from mailroom.storage.database import Db, server_now
from tests.support.builders import NOW, a_claimed

DISPATCH = DispatchId("run-1-d000000")
RUN = RunId("run-1")
LANE = Lane("schedule/s")
TOKEN = Token(5)


def a_document(id_: DispatchId = DISPATCH, **fields: Any) -> dict[str, Any]:
    """A stored dispatch under the claim `c`."""
    return {
        "_id": id_,
        "run_id": RUN,
        "schedule_id": "s",
        "lane": LANE,
        "attempt": 1,
        "tries": 0,
        "revision": 1,
        "messages": 1,
        "digest": "d",
        "token": TOKEN,
        "claim_id": "c",
        "sender": "gone",
        "memory": "m",
        "provider": "mailgun",
        "account": "mg.example.com",
        "trail": [],
    } | fields


def a_doubt(db: Db, *, state: str = "in_doubt", called_ago: timedelta = timedelta(), **fields: Any) -> None:
    now = server_now(db)
    doc = a_document(
        state=state,
        claimed_at=now - called_ago,
        called_since=now - called_ago,
        in_doubt_at=now - called_ago,
        doubted="c",
        call_ended=False,
        not_before=now,
    )
    db.dispatches.insert_one(doc | fields)
    db.runs.insert_one({"_id": RUN, "schedule_id": "s", "state": "planned", "due_at": NOW, **A_RUN})
    db.lanes.insert_one({"_id": LANE, "token": TOKEN})


def the_state(db: Db) -> str:
    doc = db.dispatches.find_one({"_id": DISPATCH})
    assert doc
    return str(doc["state"])


MINUTE = timedelta(minutes=1)


class Silent:
    """A provider without a log."""

    name, askable = "smtp", False


class Forgetful:
    """A provider whose complete log shows nothing."""

    name, askable = "mailgun", True

    def ask(self, account: str, ids: Sequence[DispatchId], control: str | None) -> Answer:
        return Answer({id_: Traces() for id_ in ids}, control_seen=True)

    def make_control(self, account: str) -> str:
        return "control"

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return dispatch


def ask(db: Db, fences: Fences, *adapters: Any, unaskable: Unaskable = Unaskable.HOLD) -> str:
    """One round of settling. Returns the state of the dispatch."""
    db.dispatches.update_many({}, {"$set": {"not_before": server_now(db)}})
    timing = Timing(call_timeout=MINUTE, idle_limit=MINUTE, settle=MINUTE, log_retention=timedelta(days=1))
    policy = Policy(timing, Delays([timedelta()] * 3), unaskable)
    reconcile(
        LaneWork(db, fences, {LANE: TOKEN}, "tests"), {one.name: one for one in adapters}, policy, now=server_now(db)
    )
    return the_state(db)


def by_smtp(fences: Fences, lane: str) -> Claimed:
    """Claimed, and its fence crossed, by somebody who was overtaken since."""
    claimed = a_claimed(dispatch=DISPATCH, claim="c", lane=lane, provider="smtp", account="h", digest="d")
    cross_fences(fences, [claimed])
    return claimed


def a_message(db: Db, number: int, **fields: Any) -> MessageId:
    id_ = MessageId(f"{RUN}/m{number}")
    told = {"_id": id_, "run_id": RUN, "dispatch_id": DISPATCH, "address": f"r{number}@example.org", "name": ""}
    db.messages.insert_one({**told, "parts": {}, "state": "in_doubt", **fields})
    return id_


def of_smtp(db: Db, **fields: Any) -> None:
    a_doubt(db, provider="smtp", account="h", **fields)


A_RUN = {
    "kind": "due",
    "revision": 1,
    "recipients": 1,
    "instants": 1,
    "created_at": NOW,
    "planned_through": "",
    "chunks": 1,
    "placed": 0,
}
