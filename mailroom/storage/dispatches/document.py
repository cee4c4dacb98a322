"""Collection `dispatches`: one document a call to a provider, carrying 1 to N messages.

    _id           dispatch id: run + chunk number; of a part of a split one: + '.' + a digest of its messages
    run_id, schedule_id, lane, chunk, revision, created_at
                  of a single mail: run_id is the mail's id, and there is no schedule_id
    messages, digest
                  how many messages, and a digest of their ids; both change when messages leave (see exclusions.py)
    rank, size    in what order it goes (see domain/emails/model.py); bytes of a single mail's body
    parent, children, inherited_tries
                  of and by a split (see splits.py)
    state         see domain/dispatches.py
    attempt       calls claimed so far; tries: those that count against the retry limit
    crashes       how often its sender went away with it in hand
    not_before    no claim before this; in doubt: when the provider is asked next
    token, claim_id, sender, provider, account, memory, claimed_at
                  of the newest claim; `memory` is Redis' identity at that time
    in_doubt_at, called_since, asked, used_a_try, doubted, call_ended, final, cleared, told_as, resolved_by
                  see doubts.py
    span          of a campaign's: whom it goes to, by their places in the audience (see domain/spans.py)
    accepted      list of {provider_id, provider, attempt, at, sender, token}: facts; more than one is an alarm
    reason, code  the last refusal, or why it is in doubt
    tell          true while its messages must still be told what became of it
    dropped       see dead_letters.py
    sent_again    see resends.py
    run_cancelled set by a cancel while it was in hand: it must not return to `pending`
    trail         list of {at, step, ...}: the audit trail but for acceptances, which are facts of their own (steps_of)

Decisions are conditional on the claim, in a transaction that checks the lane's token. Facts are always written.

Indexes: `by_rank` finds lanes with work, and what can be claimed, judged or asked about in one; `open_of_run_by_rank`
tells whether a run is through, and what can be claimed of it where another run of its lane is paused; `to_tell` finds
what messages must still be told; `goes_alone` what was in hand at crashes; `listed` pages by state.
"""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import IndexModel

from mailroom.domain.dispatches.model import ALONE_AFTER_CRASHES, Claimed, NewDispatch
from mailroom.domain.dispatches.states import MOVES, OPEN, DispatchState, DispatchTrigger
from mailroom.domain.ids import RunId, dispatch_range
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.dispatches.trails import a_step

COLLECTION: Final = "dispatches"
# States of a dispatch that is not through. Most are, so the indexes of the daily work hold only these: an acceptance
# then takes entries out and puts none in.
IS_OPEN: Final[Document] = {"state": {"$in": sorted(OPEN)}}
_LISTED: Final = sorted(set(DispatchState) - {DispatchState.PENDING, DispatchState.SENDING, DispatchState.ACCEPTED})
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel(
        [("lane", 1), ("state", 1), ("rank", 1), ("not_before", 1)], partialFilterExpression=IS_OPEN, name="by_rank"
    ),
    IndexModel(
        [("run_id", 1), ("state", 1), ("rank", 1), ("not_before", 1)],
        partialFilterExpression=IS_OPEN,
        name="open_of_run_by_rank",
    ),
    IndexModel([("tell", 1)], partialFilterExpression={"tell": True}, name="to_tell"),
    IndexModel([("crashes", 1)], partialFilterExpression={"crashes": {"$gte": ALONE_AFTER_CRASHES}}, name="goes_alone"),
    IndexModel([("state", 1), ("_id", 1)], partialFilterExpression={"state": {"$in": _LISTED}}, name="listed"),
)


OLD_INDEXES: Final = ("open_of_run",)  # dropped at the start; `open_of_run_by_rank` replaces it


def ids_of_run(run_id: RunId) -> Document:
    """A condition on `_id` that all dispatches of a run meet; the primary index answers it."""
    low, high = dispatch_range(run_id)
    return {"$gt": low, "$lt": high}


@functools.cache
def leaving(trigger: DispatchTrigger) -> Any:
    """A condition on `state`: that this trigger moves the dispatch."""
    states = sorted(MOVES[trigger][0])
    return states[0] if len(states) == 1 else {"$in": states}


def arriving(trigger: DispatchTrigger) -> DispatchState:
    """The state that this trigger moves a dispatch to."""
    return MOVES[trigger][1]


def as_held(claimed: Claimed, trigger: DispatchTrigger) -> Document:
    """The dispatch as this claim holds it: nobody has claimed or judged it since, and this trigger moves it."""
    return {
        "_id": claimed.id,
        "state": leaving(trigger),
        "claim_id": claimed.claim.id,
        "attempt": claimed.attempt,
    }


def add_many(db: Db, dispatches: Sequence[NewDispatch], *, now: datetime, session: Session) -> None:
    if dispatches:
        db.dispatches.insert_many([_document(new, now) for new in dispatches], ordered=False, session=session)


def _document(new: NewDispatch, now: datetime) -> Document:
    of_schedule = {"schedule_id": new.schedule_id} if new.schedule_id else {"size": new.size}
    span = {"span": new.span} if new.span else {}
    held = {"state": DispatchState.UNKNOWN, "reason": new.held, "tell": True, **_NOWHERE} if new.held else {}
    steps = [a_step(now, "planned"), *([a_step(now, "unknown", reason=new.held)] if new.held else [])]
    return {
        "_id": new.id,
        "run_id": new.run_id,
        **of_schedule,
        "lane": new.lane,
        "chunk": new.chunk,
        "revision": new.revision,
        "messages": new.messages,
        "digest": new.digest,
        "rank": new.rank,
        "state": DispatchState.PENDING,
        "attempt": 0,
        "tries": 0,
        "not_before": new.not_before or now,
        "created_at": now,
        "trail": steps,
        **span,
        **held,
    }


_NOWHERE: Final[Document] = {"provider": "", "account": ""}  # not called from here
