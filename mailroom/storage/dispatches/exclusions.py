"""Drop messages from a claimed dispatch before its call, in the collection `dispatches` (see document.py).

The digest of the dispatch changes with its messages, so that records of the whole dispatch no longer match it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.states import DispatchTrigger
from mailroom.domain.ids import MessageId, digest_of_messages
from mailroom.storage.database import Db, Document
from mailroom.storage.dispatches.document import arriving, as_held
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard
from mailroom.storage.messages.departures import leave_as_sent, leave_as_suppressed

BY_EVENTS: Final = "its events"  # in the place of the provider that accepted it


@dataclass(frozen=True, slots=True)
class Exclusion:
    """The messages that leave a claimed dispatch, and the messages that stay."""

    suppressed: Mapping[MessageId, str]  #: messages with the reason of each
    gone: Sequence[MessageId]  #: messages that an earlier call sent, as events show
    stay: Sequence[MessageId]


def leave_out(db: Db, claimed: Claimed, excluded: Exclusion, *, now: datetime, guard: LaneGuard) -> None:
    """Drop these messages from the claimed dispatch. Without remaining messages it becomes `accepted` if any of them
    went out, otherwise `cancelled`. No change if the claim no longer holds the dispatch."""
    gone, stay, session = excluded.gone, excluded.stay, guard.session
    held = as_held(claimed, DispatchTrigger.ALL_GONE_OUT)
    if not db.dispatches.update_one(held, _change(claimed, excluded, now), session=session).matched_count:
        return
    leave_as_sent(db, claimed.id, gone, alone=not stay, now=now, session=session)
    leave_as_suppressed(db, claimed.id, excluded.suppressed, session=session)


def _change(claimed: Claimed, excluded: Exclusion, now: datetime) -> Document:
    gone, stay = excluded.gone, excluded.stay
    step = {"sender": claimed.claim.sender, "token": claimed.claim.token, "attempt": claimed.attempt}
    counts = {"suppressed": len(excluded.suppressed) or None, "gone_out": len(gone) or None}
    carried = stay or gone
    change: Document = {
        "$set": {"messages": len(carried), "digest": digest_of_messages(carried)},
        "$push": {"trail": onto_trail(now, "left_out", **step, **counts)},
    }
    if not stay and gone:
        attempt = max(1, claimed.attempt - 1)
        fact = {"provider_id": "", "provider": "", "attempt": attempt, "at": now, "by": BY_EVENTS}
        change["$set"] |= {"state": arriving(DispatchTrigger.ALL_GONE_OUT), "accepted": [fact]}
    elif not stay:
        change["$set"] |= {"state": arriving(DispatchTrigger.ALL_SUPPRESSED), "reason": "everybody on it is suppressed"}
    return change
