"""Single mails that go by another provider while a call is in doubt, in the collection `dispatches` (see document.py).

    on_doubt      `elsewhere` if the mail may; absent otherwise
    may_move      time of its doubt, while it is in doubt or unknown and its mail has not gone elsewhere
    elsewhere     for a dispatch that was in doubt: the id of the dispatch that carries its mail on
    elsewhere_of  for that dispatch and its parts: the id of the first dispatch
    among         for these: list of the providers by which they may go, in order; absent: any
    first         for these: `in_doubt` or `unknown` while the first call may have been accepted; absent afterwards

One transaction notes the move on the first dispatch, inserts the second and moves the messages. The rules are in
domain/dispatches/elsewhere.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.doubts import Doubt
from mailroom.domain.dispatches.elsewhere import First
from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.ids import DispatchId, Lane, digest_of_messages, elsewhere_dispatch_id
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.dispatches.document import arriving, as_held, dispatch_of
from mailroom.storage.dispatches.exclusions import BY_EVENTS
from mailroom.storage.dispatches.trails import a_step, onto_trail
from mailroom.storage.guard import LaneGuard
from mailroom.storage.messages.departures import go_elsewhere as move_messages

_MAY_MOVE: Final[Document] = {"may_move": {"$exists": True}, "run_cancelled": {"$ne": True}}
_UNDECIDED: Final[Document] = {"$in": [DispatchState.IN_DOUBT, DispatchState.UNKNOWN]}
_STOPS_MOVING: Final = {"may_move": ""}
_INHERITED: Final[Sequence[str]] = ("run_id", "lane", "chunk", "revision", "rank", "size", "domain", "trace")
_TWICE: Final = "its first call is still in doubt: the mail may go twice"


@dataclass(frozen=True, slots=True)
class Departure:
    """A single mail that leaves the dispatch whose call is, or was, in doubt.

    `among`: the providers by which it may go; (): any. `first`: what is known of that call; None: it was not accepted.
    """

    dispatch: DispatchId
    attempt: int
    among: tuple[str, ...] = ()
    first: First | None = None
    tries: int = 0
    not_before: datetime | None = None


@guarded
def to_move(
    db: Db, lanes: Sequence[Lane], *, marked_before: datetime, limit: int, not_by: str | None = None
) -> list[Dispatch]:
    """Dispatches of these lanes whose mails may go elsewhere, and whose doubts were marked before this time. `not_by`:
    without those that this provider was called for."""
    query: Document = {**_MAY_MOVE, "may_move": {"$lte": marked_before}, "lane": {"$in": list(lanes)}}
    query["state"] = _UNDECIDED
    if not_by:
        query["provider"] = {"$ne": not_by}
    rows = db.dispatches.find(query, {"trail": 0}).sort("may_move", 1).limit(limit)
    return [dispatch_of(doc) for doc in rows]


def move(db: Db, departures: Sequence[Departure], *, by: str, now: datetime, guard: LaneGuard) -> list[DispatchId]:
    """Carry these mails on elsewhere while their doubts stay to be reconciled. Returns the new dispatches; none for a
    doubt that was concluded, resolved or cancelled since its read."""
    moved: list[DispatchId] = []
    for departure in departures:
        to = elsewhere_dispatch_id(departure.dispatch)
        step = onto_trail(now, "went_elsewhere", sender=by, attempt=departure.attempt, to=to, reason=_TWICE)
        query = {
            "_id": departure.dispatch,
            "attempt": departure.attempt,
            "state": _UNDECIDED,
            **_MAY_MOVE,
        }
        change: Document = {"$set": {"elsewhere": to}, "$unset": _STOPS_MOVING, "$push": {"trail": step}}
        if _depart(db, departure, query, change, now=now, session=guard.session):
            moved.append(to)
    return moved


def carry_on(db: Db, doubt: Doubt, departure: Departure, *, by: str, now: datetime, guard: LaneGuard) -> None:
    """The doubt is concluded: the call was not accepted. The mail's new attempt is made elsewhere, so that a store that
    was put back to an older copy meets the fence of the attempt that it has forgotten."""
    query = as_held(doubt.dispatch, DispatchTrigger.CARRIED_ON) | {"state": DispatchState.IN_DOUBT, **_MAY_MOVE}
    reason = "the provider's log is complete and shows nothing of it"
    step = onto_trail(now, "not_accepted", sender=by, attempt=departure.attempt, reason=reason)
    _depart(db, departure, query, _carried_on(departure, step, reason), now=now, session=guard.session)


def carry_on_by_person(db: Db, departure: Departure, *, by: str, now: datetime, session: Session) -> bool:
    """A person has an `unknown` mail sent again. False if its dispatch has changed since its read."""
    query = {
        "_id": departure.dispatch,
        "attempt": departure.attempt,
        "state": DispatchState.UNKNOWN,
        "sent_again": {"$exists": False},
        "final": {"$ne": True},
        **_MAY_MOVE,
    }
    step = onto_trail(now, "resolved", by=by, attempt=departure.attempt, verdict="send again")
    change = _carried_on(departure, step, "a person has it sent again")
    change["$set"] |= {"resolved_by": by}
    return _depart(db, departure, query, change, now=now, session=session)


def end_first(db: Db, doubts: Sequence[Doubt], *, by: str, now: datetime, guard: LaneGuard) -> list[DispatchId]:
    """These calls were not accepted, and their mails went elsewhere before: `in_doubt -> cancelled`. From now on their
    messages follow the dispatches elsewhere, which may go by any provider. Returns these."""
    reason = "the provider's log is complete and shows nothing of it; the mail went elsewhere"
    ended: list[DispatchId] = []
    for doubt in doubts:
        step = onto_trail(now, "not_accepted", sender=by, attempt=doubt.dispatch.attempt, reason=reason)
        end = {"state": arriving(DispatchTrigger.CARRIED_ON), "reason": reason}
        query = as_held(doubt.dispatch, DispatchTrigger.CARRIED_ON, moved=True) | {"state": DispatchState.IN_DOUBT}
        change = {"$set": end, "$push": {"trail": step}}
        if db.dispatches.update_one(query, change, session=guard.session).matched_count:
            ended.append(doubt.dispatch.id)
    return _tell_seconds(db, ended, {"$unset": {"first": "", "among": ""}}, guard.session)


def first_is_unknown(db: Db, doubts: Sequence[Doubt], *, guard: LaneGuard) -> list[DispatchId]:
    """Nobody can know about the first calls of these mails any more. Returns the dispatches that carry them on."""
    ids = [doubt.dispatch.id for doubt in doubts]
    return _tell_seconds(db, ids, {"$set": {"first": First.UNKNOWN}}, guard.session)


@guarded
def accepted_of(db: Db, firsts: Sequence[DispatchId]) -> set[DispatchId]:
    """The first dispatches among these whose mail went out elsewhere."""
    went_out = {"accepted": {"$elemMatch": {"by": {"$ne": BY_EVENTS}}}}
    rows = db.dispatches.find({"elsewhere_of": {"$in": list(firsts)}, **went_out}, {"elsewhere_of": 1})
    return {DispatchId(doc["elsewhere_of"]) for doc in rows}


@guarded
def firsts(db: Db, *, after: str, limit: int) -> list[Dispatch]:
    """A page of the dispatches whose mails went elsewhere, in the order of their ids, without trails."""
    query = {"elsewhere": {"$exists": True, "$gt": after}}
    rows = db.dispatches.find(query, {"trail": 0}).sort("elsewhere", 1).limit(limit)
    return [dispatch_of(doc) for doc in rows]


def _tell_seconds(db: Db, firsts: Sequence[DispatchId], change: Document, session: Session) -> list[DispatchId]:
    """Change the dispatches that carry these mails on, their parts included, and have their states propagated."""
    if not firsts:
        return []
    query = {"elsewhere_of": {"$in": list(firsts)}, "first": {"$exists": True}}
    ids = [DispatchId(doc["_id"]) for doc in db.dispatches.find(query, {"_id": 1}, session=session)]
    update = {**change, "$set": {**change.get("$set", {}), "tell": True}}
    db.dispatches.update_many({"_id": {"$in": ids}}, update, session=session)
    return ids


def _carried_on(departure: Departure, step: Document, reason: str) -> Document:
    to = elsewhere_dispatch_id(departure.dispatch)
    end = {"state": arriving(DispatchTrigger.CARRIED_ON), "elsewhere": to, "reason": reason}
    return {"$set": end, "$unset": _STOPS_MOVING, "$push": {"trail": step}}


def _depart(
    db: Db, departure: Departure, query: Document, change: Document, *, now: datetime, session: Session
) -> bool:
    """Write the change to the first dispatch if it is still as in the query, insert the second, and move the messages.
    False if the first has changed."""
    first = db.dispatches.find_one_and_update(query, change, session=session)
    if first is None:
        return False
    to = elsewhere_dispatch_id(departure.dispatch)
    ids = move_messages(db, departure.dispatch, to, session=session)
    known = {"first": departure.first} if departure.first else {}
    among = {"among": list(departure.among)} if departure.among else {}
    tries = {"inherited_tries": departure.tries} if departure.tries else {}
    inherited = {name: first[name] for name in _INHERITED if name in first}
    step = a_step(now, "planned elsewhere", first=departure.dispatch, reason=_TWICE if known else None, **among)
    db.dispatches.insert_one(
        {
            "_id": to,
            **inherited,
            "messages": len(ids),
            "digest": digest_of_messages(ids),
            "state": DispatchState.PENDING,
            "attempt": 0,
            "tries": departure.tries,
            **tries,
            "not_before": departure.not_before or now,
            "created_at": now,
            "due_at": first.get("due_at", first.get("created_at", now)),
            "elsewhere_of": departure.dispatch,
            "trail": [step],
            "tell": True,
            **known,
            **among,
        },
        session=session,
    )
    return True
