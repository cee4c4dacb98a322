"""Acceptances of dispatches, written into the collection `dispatches` (see document.py): facts, always written, whoever
holds the lane.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import UpdateOne

from mailroom.domain.dispatches.fences import Fence
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.ids import DispatchId
from mailroom.storage.database import Db, Document, guarded, server_now
from mailroom.storage.dispatches.document import IS_OPEN, answer_of, arriving, leaving
from mailroom.storage.dispatches.trails import onto_trail


@guarded
def record_accepted(db: Db, accepted: Sequence[tuple[Claimed, Acceptance]], *, now: datetime) -> list[DispatchId]:
    """Record acceptances: facts, always written, whoever holds the lane. The caller has marked the messages before.

    Returns the dispatches that were accepted more than once, by another attempt or under another id: an alarm, never
    overwritten. The id alone cannot show this: all attempts carry the same Message-Id, and a provider may echo it. An
    acceptance whose id or provider is not known ('') is the same as another one of its attempt.
    """
    if not accepted:
        return []
    entries = {claimed.id: _entry(claimed, yes, now) for claimed, yes in accepted}
    if len(entries) == len(accepted) and _record_first(db, accepted, entries) == len(accepted):
        return []
    return _record_oddly_accepted(db, [(claimed, _entry(claimed, yes, now)) for claimed, yes in accepted])


@guarded
def stored_as_before_their_calls(db: Db, claims: Sequence[Claimed]) -> set[DispatchId]:
    """Those of these dispatches, called without some of their recipients, that are stored with all of them and with no
    later claim: MongoDB was put back to a copy from before the call."""
    if not claims:
        return set()
    older = [
        {
            "_id": claimed.id,
            "digest": {"$ne": claimed.digest},
            **IS_OPEN,
            "$or": [{"attempt": {"$lt": claimed.attempt}}, {"claim_id": claimed.claim.id}],
        }
        for claimed in claims
    ]
    return {DispatchId(doc["_id"]) for doc in db.dispatches.find({"$or": older}, {"_id": 1})}


def _record_first(
    db: Db, accepted: Sequence[tuple[Claimed, Acceptance]], entries: Mapping[DispatchId, Document]
) -> int:
    """Record the usual case in one statement: the claim still holds, and this is its first acceptance.

    Returns the number of recorded acceptances; the others are untouched.
    """
    ids = list(entries)
    standing = {
        "_id": {"$in": ids},
        "state": DispatchState.SENDING,
        "claim_id": {"$in": sorted({claimed.claim.id for claimed, _ in accepted})},
        "accepted": {"$exists": False},
    }
    # Literals: text from a provider may look like an expression.
    mine = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    entry = {"$arrayElemAt": [{"$literal": list(entries.values())}, mine]}
    gone = {"reason": "$$REMOVE", "code": "$$REMOVE"}
    to_accepted = [{"$set": {"state": arriving(DispatchTrigger.ACCEPTED), "accepted": [entry], **gone}}]
    return db.dispatches.update_many(standing, to_accepted).matched_count


def _record_oddly_accepted(db: Db, facts: Sequence[tuple[Claimed, Document]]) -> list[DispatchId]:
    """Record acceptances that may be known, late, or second acceptances. Returns the dispatches that need an alarm."""
    writes: list[UpdateOne] = []
    for claimed, entry in facts:
        new = {"_id": claimed.id, "accepted": {"$not": {"$elemMatch": _same_as(entry)}}}
        # A dispatch that was split after a refusal stays split: its parts go on, and the acceptance is an alarm.
        on_split = UpdateOne(new | {"state": DispatchState.SPLIT}, {"$push": {"accepted": entry}})
        to_accepted = {
            # A dispatch whose mail went elsewhere has no messages of its own: propagation finds them.
            "$set": {"state": arriving(DispatchTrigger.ACCEPTED), "tell": True},
            "$push": {"accepted": entry},
            "$unset": {"reason": "", "code": "", "may_move": ""},
        }
        move = UpdateOne(new | {"state": leaving(DispatchTrigger.ACCEPTED)}, to_accepted)
        writes += [on_split, move, on_split]  # a split may come between the first and the second write
    db.dispatches.bulk_write(writes, ordered=True)
    docs = db.dispatches.find({"_id": {"$in": [claimed.id for claimed, _ in facts]}}, {"accepted": 1, "state": 1})
    return [DispatchId(doc["_id"]) for doc in docs if _is_alarming(doc)]


def _same_as(entry: Document) -> Document:
    """A condition on an acceptance: it is this one. A log may show a call without the id that the answer has, and a
    fence does not always know the provider."""
    known = {name: {"$in": [entry[name], ""]} for name in ("provider_id", "provider") if entry[name]}
    return {"attempt": entry["attempt"], **known}


def _is_alarming(doc: Document) -> bool:
    """True if accepted twice, or split and accepted. A provider may confirm a person's word without an alarm."""
    acceptances = [entry for entry in doc.get("accepted", ()) if not entry.get("by")]
    return len(acceptances) > 1 or (bool(acceptances) and doc["state"] == DispatchState.SPLIT)


def _entry(claimed: Claimed, yes: Acceptance, now: datetime) -> Document:
    entry: Document = {"provider_id": yes.provider_id, "provider": yes.provider, "attempt": yes.attempt}
    if yes.found:
        entry["found"] = True
    return {**entry, **answer_of(yes), "at": now, "sender": claimed.claim.sender, "token": claimed.claim.token}


@guarded
def replay_accepted(db: Db, fences: Sequence[tuple[DispatchId, Fence]]) -> tuple[int, int]:
    """Record acceptances from fences that a restored MongoDB may lack. Returns (the number of recorded acceptances, the
    number of these dispatches that exist)."""
    if not fences:
        return 0, 0
    now = server_now(db)
    writes = []
    for id_, fence in fences:
        entry = {"provider_id": fence.provider_id, "provider": "", "attempt": fence.attempt, "at": now}
        step = onto_trail(now, "replayed", attempt=fence.attempt, reason="its fence says that it was accepted")
        writes.append(
            UpdateOne(
                # Whatever the state: a failed dispatch may have been requeued since, and a fact overrides.
                {
                    "_id": id_,
                    "digest": fence.digest,
                    "accepted": {"$exists": False},
                    "state": leaving(DispatchTrigger.ACCEPTED),
                },
                {
                    "$set": {"state": arriving(DispatchTrigger.ACCEPTED), "tell": True},
                    "$max": {"attempt": fence.attempt},
                    "$push": {"accepted": entry, "trail": step},
                },
            )
        )
    changed = db.dispatches.bulk_write(writes, ordered=False).modified_count
    return changed, db.dispatches.count_documents({"_id": {"$in": [id_ for id_, _ in fences]}})
