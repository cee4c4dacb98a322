"""Collection `dispatches`: one document for each call to a provider, which carries 1 to N messages.

    _id           dispatch id: run + chunk number; for a part of a split dispatch: + '.' + a digest of its messages
    run_id, schedule_id, lane, chunk, revision, created_at
                  for a single mail: run_id is the mail's id, and schedule_id is absent
    messages, digest
                  number of messages, and a digest of their ids; both change when messages leave (see exclusions.py)
    rank, size    order of claims (see domain/emails/model.py); bytes of a single mail's body, or of the files that each
                  mail of a campaign carries (absent without any)
    parent, children, inherited_tries
                  see splits.py
    state         see domain/dispatches/states.py
    attempt       int, calls claimed so far;  tries: int, calls that count against the retry limit
    crashes       int, crashes of senders that had the dispatch in hand
    not_before    no claim before this time; in doubt: the time of the next question
    due_at        when its mails should go out first, for the metric of lateness; absent if an earlier release wrote it
    trace         traceparent of the request that handed a single mail in; absent if that was not traced
    token, claim_id, sender, provider, account, memory, claimed_at
                  of the newest claim; `memory` is Redis' identity at the time of the claim
    in_doubt_at, called_since, asked, used_a_try, doubted, call_ended, final, cleared, told_as, resolved_by
                  see doubts.py
    test          true for a test send of a campaign, which is no control for a doubt; absent otherwise
    domain        for a single mail: the domain of all its recipients, if they have one; for a campaign: the domain with
                  shares of its own that all recipients have; absent otherwise (see domain/shares.py)
    span          for a campaign: its recipients, as positions in the audience (see domain/dispatches/spans.py)
    accepted      list of {provider_id, provider, attempt, at, sender, token}: facts; more than one is an alarm.
                  `found`: true if the log showed it; `by`: the person or the events that state it for the provider;
                  `code`, `reason`: the provider's answer, absent where it is not known; `bounces_read`: true if a
                  bounce of it would come to a mailbox that is read
    reason, code  of the last refusal or of the doubt
    tell          true while the state is not yet propagated to the messages
    on_doubt, may_move, elsewhere, elsewhere_of, among, first
                  see elsewhere.py
    dropped       see dead_letters.py
    sent_again    see resends.py
    run_cancelled true if the run was cancelled: the dispatch must not return to `pending`
    trail         list of {at, step, ...}: the audit trail without acceptances, which are facts of their own (steps_of)

Decisions are conditional on the claim, in a transaction that checks the lane's token. Facts are always written.

Indexes: `by_rank` finds lanes with work, and the dispatches of a lane to claim, judge or reconcile;
`open_of_run_by_rank` shows whether a run is through, and finds its dispatches to claim if another run of the lane is
paused; `newly_due` finds what has become due since the last look; `listed` serves pages by state; `rare` finds
dispatches that were in hand at crashes (`crashes`) and states to propagate (`tell`), and serves elsewhere.py. It holds
only documents that have one of its fields. One index stands for five: in a transaction, mongod 6 reads the definitions
of all indexes of a collection for each index and update, so every index makes all others dearer.
"""

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import IndexModel

from mailroom.domain.dispatches.elsewhere import First
from mailroom.domain.dispatches.model import (
    Acceptance,
    Claim,
    Claimable,
    Claimant,
    Claimed,
    Dispatch,
    NewDispatch,
    RecordedAcceptance,
    under_claim,
)
from mailroom.domain.dispatches.states import MOVES, OPEN, DispatchState, DispatchTrigger
from mailroom.domain.emails.model import OnDoubt, Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId, ScheduleId, Token, dispatch_range
from mailroom.storage.database import Db, Document, Session, drop_unset
from mailroom.storage.dispatches.trails import a_step, steps_of

COLLECTION: Final = "dispatches"
# States of a dispatch that is not through. Most dispatches are through, so the indexes of the daily work contain only
# these states: an acceptance then removes index entries and adds none.
IS_OPEN: Final[Document] = {"state": {"$in": sorted(OPEN)}}
_LISTED: Final = sorted(set(DispatchState) - {DispatchState.PENDING, DispatchState.SENDING, DispatchState.ACCEPTED})
_RARE: Final = ("crashes", "tell", "may_move", "elsewhere", "elsewhere_of")
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel(
        [("lane", 1), ("state", 1), ("rank", 1), ("not_before", 1)], partialFilterExpression=IS_OPEN, name="by_rank"
    ),
    IndexModel(
        [("run_id", 1), ("state", 1), ("rank", 1), ("not_before", 1)],
        partialFilterExpression=IS_OPEN,
        name="open_of_run_by_rank",
    ),
    IndexModel(
        [("not_before", 1), ("lane", 1), ("rank", 1)],
        partialFilterExpression={"state": DispatchState.PENDING},
        name="newly_due",
    ),
    IndexModel([("state", 1), ("_id", 1)], partialFilterExpression={"state": {"$in": _LISTED}}, name="listed"),
    IndexModel([("$**", 1)], wildcardProjection=dict.fromkeys(_RARE, 1), name="rare"),
)


# Dropped at start-up: `open_of_run_by_rank` replaces the first, `rare` the others. No version names them in a query.
# `goes_alone` of earlier versions stays until the next release: their senders name it in a query.
OLD_INDEXES: Final = ("open_of_run", "to_tell", "seldom")


def ids_of_run(run_id: RunId) -> Document:
    """A condition on `_id` that selects all dispatches of a run by the primary index."""
    low, high = dispatch_range(run_id)
    return {"$gt": low, "$lt": high}


@functools.cache
def leaving(trigger: DispatchTrigger) -> Any:
    """A condition on `state` that selects dispatches which this trigger moves."""
    states = sorted(MOVES[trigger][0])
    return states[0] if len(states) == 1 else {"$in": states}


def arriving(trigger: DispatchTrigger) -> DispatchState:
    """The state that this trigger moves a dispatch to."""
    return MOVES[trigger][1]


def as_held(claimed: Claimed, trigger: DispatchTrigger, *, moved: bool = False) -> Document:
    """A query for the dispatch under this claim: no other claim or decision came after it, and the trigger moves it.

    `moved`: whether its mail went elsewhere, as it was read. A decision about a dispatch whose mail is still its own
    changes nothing once the mail has gone elsewhere.
    """
    return {
        "_id": claimed.id,
        "state": leaving(trigger),
        "claim_id": claimed.claim.id,
        "attempt": claimed.attempt,
        "elsewhere": {"$exists": moved},
    }


def add_many(db: Db, dispatches: Sequence[NewDispatch], *, now: datetime, session: Session) -> None:
    if dispatches:
        db.dispatches.insert_many([_document(new, now) for new in dispatches], ordered=False, session=session)


def _document(new: NewDispatch, now: datetime) -> Document:
    size = {"size": new.size} if new.size or not new.schedule_id else {}
    of_schedule = ({"schedule_id": new.schedule_id} if new.schedule_id else {}) | size
    span = {"span": new.span} if new.span else {}
    domain = {"domain": new.domain} if new.domain else {}
    on_doubt = {"on_doubt": new.on_doubt} if new.on_doubt is not OnDoubt.WAIT else {}
    trace = {"trace": new.trace} if new.trace else {}
    test = {"test": True} if new.is_test else {}
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
        "due_at": new.due_at or now,
        "trail": steps,
        **span,
        **domain,
        **on_doubt,
        **trace,
        **test,
        **held,
    }


_NOWHERE: Final[Document] = {"provider": "", "account": ""}  # never called as far as MongoDB records


def dispatch_of(doc: Mapping[str, Any]) -> Dispatch:
    """A document as a value. The trail is empty if it was not read."""
    return Dispatch(
        id=DispatchId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        schedule_id=_schedule_of(doc),
        lane=Lane(doc["lane"]),
        state=DispatchState(doc["state"]),
        messages=doc["messages"],
        attempt=doc["attempt"],
        tries=doc["tries"],
        inherited_tries=doc.get("inherited_tries", 0),
        not_before=doc["not_before"],
        parent=doc.get("parent"),
        children=tuple(map(DispatchId, doc.get("children", ()))),
        claim=claim_of(doc) if "claim_id" in doc else None,
        claimed_at=doc.get("claimed_at"),
        provider=doc.get("provider"),
        account=doc.get("account", ""),
        accepted=tuple(_acceptance(entry) for entry in doc.get("accepted", ())),
        reason=doc.get("reason"),
        code=doc.get("code"),
        asked=doc.get("asked", 0),
        doubted=doc.get("doubted"),
        final=doc.get("final", False),
        on_doubt=OnDoubt(doc.get("on_doubt", OnDoubt.WAIT)),
        elsewhere=doc.get("elsewhere"),
        elsewhere_of=doc.get("elsewhere_of"),
        first=first_of(doc),
        sent_again=doc.get("sent_again"),
        run_cancelled=doc.get("run_cancelled", False),
        trail=steps_of(doc) if "trail" in doc else (),
    )


FOR_CLAIM: Final = dict.fromkeys(
    (
        *("run_id", "schedule_id", "lane", "attempt", "tries", "revision", "messages", "digest", "crashes"),
        *("rank", "size", "not_before", "span", "cleared", "on_doubt", "among", "domain", "due_at", "trace", "test"),
    ),
    1,
)


def claimable_of(doc: Mapping[str, Any]) -> Claimable:
    """A pending dispatch, from the fields of FOR_CLAIM."""
    return Claimable(
        id=DispatchId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        schedule_id=_schedule_of(doc),
        lane=Lane(doc["lane"]),
        attempt=doc["attempt"],
        tries=doc["tries"],
        revision=doc["revision"],
        messages=doc["messages"],
        digest=doc["digest"],
        not_before=doc["not_before"],
        crashes=doc.get("crashes", 0),
        rank=Rank(doc.get("rank", Rank.CAMPAIGN)),
        size=doc.get("size", 0),
        span=doc.get("span", ""),
        cleared=tuple(map(ClaimId, doc.get("cleared", ()))),
        on_doubt=OnDoubt(doc.get("on_doubt", OnDoubt.WAIT)),
        among=tuple(doc.get("among", ())),
        due_at=doc.get("due_at"),
        trace=doc.get("trace", ""),
        domain=doc.get("domain", ""),
        is_test=doc.get("test", False),
    )


def claimed_of(doc: Mapping[str, Any], claim: Claim) -> Claimed:
    """A document as a dispatch under this claim."""
    claimant = Claimant(claim.sender, claim.redis_identity, doc["provider"], doc["account"])
    return under_claim(claimable_of(doc), claim, claimant, attempt=doc["attempt"], claimed_at=doc["claimed_at"])


def claim_of(doc: Mapping[str, Any]) -> Claim:
    """The newest claim of a document."""
    return Claim(ClaimId(doc["claim_id"]), Lane(doc["lane"]), Token(doc["token"]), doc["sender"], doc["memory"])


def first_of(doc: Mapping[str, Any]) -> First | None:
    """The knowledge about the first call of a mail that went elsewhere."""
    return First(doc["first"]) if "first" in doc else None


def _schedule_of(doc: Mapping[str, Any]) -> ScheduleId | None:
    return ScheduleId(doc["schedule_id"]) if "schedule_id" in doc else None


def _acceptance(entry: Mapping[str, Any]) -> RecordedAcceptance:
    return RecordedAcceptance(
        entry["provider_id"],
        entry["provider"],
        entry["attempt"],
        entry["at"],
        entry.get("by", ""),
        entry.get("code"),
        entry.get("reason", ""),
    )


def answer_of(yes: Acceptance) -> Document:
    """The provider's answer, as an entry of `accepted` holds it."""
    return drop_unset({"code": yes.code, "reason": yes.reason or None, "bounces_read": yes.bounces_read or None})
