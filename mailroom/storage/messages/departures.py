"""Messages that leave their dispatch, or move to a part of it, in the collection `messages` (see document.py).

left_dispatch   of a message that left: the dispatch where its story began
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import UpdateMany

from mailroom.domain.ids import DispatchId, MessageId
from mailroom.domain.messages import MessageState
from mailroom.storage import kept_counts
from mailroom.storage.database import Db, Session
from mailroom.storage.messages.marks import mark_sent_among


def leave_as_sent(
    db: Db, dispatch: DispatchId, gone: Sequence[MessageId], *, alone: bool, now: datetime, session: Session
) -> None:
    """Note that these messages went out by an earlier call of the dispatch. They leave it unless they are `alone` on
    it."""
    # An opening alone has moved no state of theirs, and nobody tells them any more once they have left.
    mark_sent_among(db, gone, at=now, session=session)
    if not alone and gone:
        db.messages.update_many(
            {"_id": {"$in": list(gone)}, "dispatch_id": dispatch},
            {"$set": {"left_dispatch": dispatch}, "$unset": {"dispatch_id": ""}},
            session=session,
        )


def leave_as_suppressed(db: Db, dispatch: DispatchId, reasons: Mapping[MessageId, str], *, session: Session) -> None:
    """Take the suppressed messages off the dispatch, each with its reason; what was sent meanwhile stays as it is."""
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
    """Have each of these messages carried by the part of its dispatch that names it."""
    moves = [UpdateMany({"_id": {"$in": list(ids)}}, {"$set": {"dispatch_id": part}}) for part, ids in parts.items()]
    db.messages.bulk_write(moves, ordered=False, session=session)
