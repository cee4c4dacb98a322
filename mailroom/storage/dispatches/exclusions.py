"""Messages leave a dispatch that is in hand and not called, in the collection `dispatches` (see document.py).

The dispatch's digest is another one afterwards, so nothing that knew it whole can take it for the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.states import DispatchTrigger
from mailroom.domain.ids import MessageId, digest_of_messages
from mailroom.storage.database import Db, Document
from mailroom.storage.dispatches.document import arriving, as_held
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard
from mailroom.storage.messages.departures import leave_as_sent, leave_as_suppressed


def leave_out(
    db: Db,
    claimed: Claimed,
    suppressed: Mapping[MessageId, str],
    gone: Sequence[MessageId],
    rest: Sequence[MessageId],
    *,
    now: datetime,
    guard: LaneGuard,
) -> None:
    """Take the suppressed messages, each with its reason, and those that are known to have gone out by an earlier call,
    off this claim's dispatch. Where nobody is left, it was accepted, as its events tell; or it is cancelled. A claim
    that does not stand is left alone."""
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
        change["$set"] |= {"state": arriving(DispatchTrigger.ALL_GONE_OUT), "accepted": [fact]}
    elif not rest:
        change["$set"] |= {"state": arriving(DispatchTrigger.ALL_SUPPRESSED), "reason": "everybody on it is suppressed"}
    held = as_held(claimed, DispatchTrigger.ALL_GONE_OUT)
    if not db.dispatches.update_one(held, change, session=guard.session).matched_count:
        return
    leave_as_sent(db, claimed.id, gone, alone=not rest, now=now, session=guard.session)
    leave_as_suppressed(db, claimed.id, suppressed, session=guard.session)
