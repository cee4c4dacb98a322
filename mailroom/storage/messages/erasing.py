"""Erase a person from messages, in the collection `messages` (see document.py).

The id stays, with the digest of the address in it: fences, events and planning again know the message by it. State and
facts stay too, so that every count is as it was.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailroom.domain.erasures import ERASED
from mailroom.domain.ids import DispatchId, MessageId, RunId, message_id
from mailroom.domain.messages.states import MessageState
from mailroom.domain.recipient_times import TIME_HAD_PASSED
from mailroom.storage import kept_counts
from mailroom.storage.database import Db, Document, Session, guarded

_STANDS: Final[Document] = {"erased": {"$exists": False}}


@dataclass(frozen=True, slots=True)
class ErasableMessage:
    """A message to a person. `carriers`: the dispatches whose call it is, was, or will be part of."""

    id: MessageId
    run_id: RunId
    carriers: frozenset[DispatchId]


@guarded
def mailed_by(db: Db, key: str, runs: Collection[RunId]) -> list[RunId]:
    """The runs among these that have a message to a folded address that is not erased."""
    ids = [message_id(run, key) for run in runs]
    rows = db.messages.find({"_id": {"$in": ids}, **_STANDS}, {"run_id": 1})
    return sorted(RunId(doc["run_id"]) for doc in rows)


def to_address(db: Db, key: str, runs: Collection[RunId], *, session: Session) -> list[ErasableMessage]:
    """The messages of these runs and single mails to a folded address that are not erased. An id lookup for each."""
    ids = [message_id(run, key) for run in runs]
    rows = db.messages.find({"_id": {"$in": ids}, **_STANDS}, _CARRIED, session=session)
    return [_erasable(doc) for doc in rows]


def is_anybody_left(db: Db, dispatches: Collection[DispatchId], *, session: Session) -> bool:
    """Whether any message that these dispatches carry is to somebody who is not erased."""
    query = {"dispatch_id": {"$in": sorted(dispatches)}, **_STANDS}
    return db.messages.find_one(query, {"_id": 1}, session=session) is not None


@dataclass(frozen=True, slots=True)
class MessageFields:
    """A message to a person, with all that is stored of it."""

    id: MessageId
    run_id: RunId
    fields: Mapping[str, object]


@guarded
def stored_of(db: Db, key: str, runs: Collection[RunId]) -> list[MessageFields]:
    """The messages of these runs and single mails to a folded address."""
    ids = [message_id(run, key) for run in runs]
    rows = list(db.messages.find({"_id": {"$in": ids}, **_STANDS}).sort("_id", 1))
    return [MessageFields(MessageId(doc.pop("_id")), RunId(doc["run_id"]), doc) for doc in rows]


def erase(db: Db, ids: Sequence[MessageId], *, session: Session) -> int:
    """Take the address, and all that was made for it, off these messages. A message that has no call yet gets none any
    more. Returns how many were changed."""
    if not ids:
        return 0
    kept_counts.mark_within(db, kept_counts.of_messages(ids), session)
    # The reasons that are words of ours: reports count one of them.
    ours = {"$or": [{"$eq": ["$state", MessageState.SUPPRESSED]}, {"$eq": ["$reason", TIME_HAD_PASSED]}]}
    change: list[Document] = [
        {"$set": {"erased": True, "address": ERASED, "name": "", "parts": {"$literal": {}}}},
        {"$set": {"reason": {"$cond": [ours, "$reason", "$$REMOVE"]}}},
    ]
    return db.messages.update_many({"_id": {"$in": list(ids)}, **_STANDS}, change, session=session).modified_count


_CARRIED: Final = dict.fromkeys(("run_id", "dispatch_id", "first_dispatch"), 1)


def _erasable(doc: dict[str, Any]) -> ErasableMessage:
    carriers = {DispatchId(doc[name]) for name in ("dispatch_id", "first_dispatch") if name in doc}
    return ErasableMessage(MessageId(doc["_id"]), RunId(doc["run_id"]), frozenset(carriers))
