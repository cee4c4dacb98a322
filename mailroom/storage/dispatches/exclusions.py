"""Messages leave a dispatch that is in hand and not called, in the collection `dispatches` (see document.py).

    left_dispatch   of such a message, in the collection `messages`: where its story began

The dispatch's digest is another one afterwards, so nothing that knew it whole can take it for the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from mailroom.domain.dispatches import Claimed, DispatchState
from mailroom.domain.ids import MessageId, digest_of_messages
from mailroom.domain.messages import MessageState
from mailroom.storage import kept_counts
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.dispatches.document import onto_trail
from mailroom.storage.messages.marks import mark_sent_among


def leave_out(
    db: Db,
    claimed: Claimed,
    suppressed: Mapping[MessageId, str],
    gone: Sequence[MessageId],
    rest: Sequence[MessageId],
    *,
    now: datetime,
    session: Session,
) -> None:
    """Take the suppressed messages, each with its reason, and those that are known to have gone out by an earlier call,
    off this claim's dispatch. Where nobody is left, it was accepted, as its events tell; or it is cancelled. In a
    transaction that has touched the lane. A claim that does not stand is left alone."""
    step = {"sender": claimed.claim.sender, "token": claimed.claim.token, "attempt": claimed.attempt}
    stay = rest or gone
    out = {"suppressed": len(suppressed) or None, "gone_out": len(gone) or None}
    change: Document = {
        "$set": {"messages": len(stay), "digest": digest_of_messages(stay)},
        "$push": {"trail": onto_trail(now, "left_out", **step, **out)},
    }
    if not rest and gone:
        fact = {
            "provider_id": "",
            "provider": "",
            "attempt": max(1, claimed.attempt - 1),
            "at": now,
            "by": "its events",
        }
        change["$set"] |= {"state": DispatchState.ACCEPTED, "accepted": [fact]}
    elif not rest:
        change["$set"] |= {"state": DispatchState.CANCELLED, "reason": "everybody on it is suppressed"}
    own = {"_id": claimed.id, "state": DispatchState.SENDING, "claim_id": claimed.claim.id, "attempt": claimed.attempt}
    if not db.dispatches.update_one(own, change, session=session).matched_count:
        return
    # An opening alone has moved no state of theirs, and nobody tells them any more once they have left.
    mark_sent_among(db, gone, at=now, session=session)
    if rest and gone:
        db.messages.update_many(
            {"_id": {"$in": list(gone)}, "dispatch_id": claimed.id},
            {"$set": {"left_dispatch": claimed.id}, "$unset": {"dispatch_id": ""}},
            session=session,
        )
    kept_counts.mark_within(db, kept_counts.of_messages(suppressed), session)
    for reason in sorted(set(suppressed.values())):
        ids = [id_ for id_, why in suppressed.items() if why == reason]
        db.messages.update_many(
            {"_id": {"$in": ids}, "dispatch_id": claimed.id, "sent_at": {"$exists": False}},
            {
                "$set": {"state": MessageState.SUPPRESSED, "reason": reason, "left_dispatch": claimed.id},
                "$unset": {"dispatch_id": "", "code": ""},
            },
            session=session,
        )
