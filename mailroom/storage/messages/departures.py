"""Messages that leave their dispatch, or move to another one, in the collection `messages` (see document.py).

left_dispatch   for a message that left its dispatch before the call: the id of that dispatch
first_dispatch  for a message that went elsewhere: the id of the dispatch whose call is, or was, in doubt
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import UpdateMany

from mailroom.domain.ids import DispatchId, MessageId
from mailroom.domain.messages.states import MessageState
from mailroom.storage import kept_counts
from mailroom.storage.database import Db, Session
from mailroom.storage.messages.marks import mark_sent_among


def leave_as_sent(
    db: Db, dispatch: DispatchId, gone: Sequence[MessageId], *, alone: bool, now: datetime, session: Session
) -> None:
    """Mark messages as sent by an earlier call of the dispatch. They leave it, unless they are `alone` on it."""
    # An open event alone has not moved their state, and no propagation reaches them after they left.
    mark_sent_among(db, gone, at=now, session=session)
    if not alone and gone:
        db.messages.update_many(
            {"_id": {"$in": list(gone)}, "dispatch_id": dispatch},
            {"$set": {"left_dispatch": dispatch}, "$unset": {"dispatch_id": ""}},
            session=session,
        )


def leave_as_suppressed(db: Db, dispatch: DispatchId, reasons: Mapping[MessageId, str], *, session: Session) -> None:
    """Take suppressed messages off the dispatch, each with its reason. A message that was sent stays unchanged."""
    kept_counts.mark_within(db, kept_counts.of_messages(reasons), session)
    for reason in sorted(set(reasons.values())):
        ids = [id_ for id_, why in reasons.items() if why == reason]
        db.messages.update_many(
            {"_id": {"$in": ids}, "dispatch_id": dispatch, "sent_at": {"$exists": False}},
            {
                "$set": {"state": MessageState.SUPPRESSED, "reason": reason, "left_dispatch": dispatch},
                "$unset": {"dispatch_id": "", "code": ""},
            },
            session=session,
        )


def move_to_parts(db: Db, parts: Mapping[DispatchId, Sequence[MessageId]], *, session: Session) -> None:
    """Move messages to the parts of their split dispatch. `parts`: the messages of each part."""
    moves = [UpdateMany({"_id": {"$in": list(ids)}}, {"$set": {"dispatch_id": part}}) for part, ids in parts.items()]
    db.messages.bulk_write(moves, ordered=False, session=session)


def go_elsewhere(db: Db, first: DispatchId, to: DispatchId, *, session: Session) -> list[MessageId]:
    """Move the messages of a dispatch in doubt to the dispatch that carries them on. Returns their ids."""
    ids = [MessageId(doc["_id"]) for doc in db.messages.find({"dispatch_id": first}, {"_id": 1}, session=session)]
    change = {"$set": {"dispatch_id": to, "first_dispatch": first}}
    db.messages.update_many({"_id": {"$in": ids}}, change, session=session)
    return ids
