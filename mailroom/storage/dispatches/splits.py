"""A dispatch becomes several, in the collection `dispatches` (see document.py): the one mechanism of splitting.

    children    of a `split` dispatch: the ids of its parts
    parent      of a part: the dispatch that it was part of
    inherited_tries  of a part: how many of its `tries` it took over from its parent; absent if none

One transaction ends the parent, makes its children and moves its messages to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.ids import DispatchId, MessageId, child_dispatch_id, digest_of_messages
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.dispatches.document import arriving, as_held
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard
from mailroom.storage.messages.departures import move_to_parts


@dataclass(frozen=True, slots=True)
class DispatchPart:
    """Some of a dispatch's messages, and what is known of them: `pending` from a time on, `unknown`, `failed`, or
    `accepted` with the facts."""

    messages: Sequence[MessageId]
    state: DispatchState
    accepted: Sequence[Acceptance] = ()
    not_before: datetime | None = None
    tries: int = 0
    reason: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A claimed dispatch, and its parts. `was_called`: a call was made for this attempt."""

    parent: Claimed
    parts: Sequence[DispatchPart]
    by: str
    why: str
    was_called: bool = True


def split(db: Db, wanted: Split, leaves: DispatchState, *, now: datetime, guard: LaneGuard) -> list[DispatchId]:
    """A decision: end this claim of the parent, which stands in `leaves`, and begin its parts. Returns the children's
    ids; none if the parent stands otherwise.

    A part that would wait is cancelled instead where the run was cancelled meanwhile.
    """
    held = as_held(wanted.parent, DispatchTrigger.SPLIT) | {"state": leaves}
    return _split(db, wanted, held, now=now, session=guard.session)


def split_by_answer(db: Db, wanted: Split, *, now: datetime, session: Session) -> list[DispatchId]:
    """A fact: as `split`, where the provider's answer to this very claim judged each recipient by itself."""
    held = as_held(wanted.parent, DispatchTrigger.ANSWERED_IN_PART)
    return _split(db, wanted, held, now=now, session=session)


def _split(db: Db, wanted: Split, held: Document, *, now: datetime, session: Session) -> list[DispatchId]:
    parent, parts, why = wanted.parent, wanted.parts, wanted.why
    children = [child_dispatch_id(parent.id, part.messages) for part in parts]
    before = db.dispatches.find_one_and_update(
        held,
        {
            "$set": {"state": arriving(DispatchTrigger.SPLIT), "children": children, "reason": why},
            "$inc": {"tries": int(wanted.was_called)},
            "$push": {"trail": onto_trail(now, "split", sender=wanted.by, into=list(children), reason=why)},
        },
        session=session,
    )
    if before is None:
        return []
    made = [_child(before, child, part, why, now) for child, part in zip(children, parts, strict=True)]
    db.dispatches.insert_many(made, session=session)
    members = {child: part.messages for child, part in zip(children, parts, strict=True)}
    move_to_parts(db, members, session=session)
    return children


def _child(parent: Mapping[str, object], child: DispatchId, part: DispatchPart, why: str, now: datetime) -> Document:
    inherited = ("run_id", "schedule_id", "lane", "chunk", "revision", "rank", "size", "span", "run_cancelled")
    cancelled = part.state is DispatchState.PENDING and parent.get("run_cancelled")
    facts = [
        {"provider": yes.provider, "provider_id": yes.provider_id, "attempt": yes.attempt, "at": now}
        for yes in part.accepted
    ]
    return {
        "_id": child,
        **{name: parent[name] for name in inherited if name in parent},
        "parent": parent["_id"],
        "messages": len(part.messages),
        "digest": digest_of_messages(part.messages),
        "state": DispatchState.CANCELLED if cancelled else part.state,
        "attempt": 0,
        "tries": part.tries,
        **({"inherited_tries": part.tries} if part.tries else {}),
        "not_before": part.not_before or now,
        "created_at": now,
        "tell": True,
        **({"reason": part.reason, "code": part.code} if part.reason else {}),
        "trail": [{"at": now, "step": "split_off", "parent": parent["_id"], "reason": why}],
        **({"accepted": facts} if facts else {}),
        **(
            {"provider": parent["provider"], "account": parent["account"]}
            if part.state is not DispatchState.PENDING
            else {}
        ),
    }
