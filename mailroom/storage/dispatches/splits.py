"""Split a dispatch into parts, in the collection `dispatches` (see document.py). There is no other split mechanism.

    children    for a `split` dispatch: list of the ids of its parts
    parent      for a part: the id of the dispatch that was split
    inherited_tries  for a part: int, the share of its `tries` taken over from the parent; absent if 0

One transaction ends the parent, creates its children and moves its messages to them.
"""

from collections.abc import Mapping
from datetime import datetime

from mailroom.domain.dispatches.decisions import DispatchPart, Split
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.ids import DispatchId, child_dispatch_id, digest_of_messages
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.dispatches.document import answer_of, arriving, as_held
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard
from mailroom.storage.messages.departures import move_to_parts


def split(db: Db, wanted: Split, leaves: DispatchState, *, now: datetime, guard: LaneGuard) -> list[DispatchId]:
    """A decision: end the parent, which must be in state `leaves` under this claim, and create its parts. Returns the
    children's ids; none if the parent has changed.

    A part that would be pending is cancelled instead if the run was cancelled.
    """
    held = as_held(wanted.parent, DispatchTrigger.SPLIT) | {"state": leaves}
    return _split(db, wanted, held, now=now, session=guard.session)


def split_by_answer(db: Db, wanted: Split, *, now: datetime, session: Session) -> list[DispatchId]:
    """A fact: as `split`, for a provider's answer to this very claim that decides about each recipient separately. A
    dispatch whose mail went elsewhere since is not split: it has no message left, and never gets another attempt."""
    held = as_held(wanted.parent, DispatchTrigger.ANSWERED_IN_PART)
    return _split(db, wanted, held, now=now, session=session)


def _split(db: Db, wanted: Split, held: Document, *, now: datetime, session: Session) -> list[DispatchId]:
    parent, parts, why = wanted.parent, wanted.parts, wanted.why
    children = [child_dispatch_id(parent.id, part.messages) for part in parts]
    before = db.dispatches.find_one_and_update(
        held,
        {
            "$set": {"state": arriving(DispatchTrigger.SPLIT), "children": children, "reason": why},
            "$unset": {"may_move": ""},
            "$inc": {"tries": int(wanted.was_called)},
            "$push": {"trail": onto_trail(now, "split", sender=wanted.by, into=list(children), reason=why)},
        },
        session=session,
    )
    if before is None:
        return []
    docs = [_child(before, child, part, why, now) for child, part in zip(children, parts, strict=True)]
    db.dispatches.insert_many(docs, session=session)
    members = {child: part.messages for child, part in zip(children, parts, strict=True)}
    move_to_parts(db, members, session=session)
    return children


def _child(parent: Mapping[str, object], child: DispatchId, part: DispatchPart, why: str, now: datetime) -> Document:
    inherited = (
        *("run_id", "schedule_id", "lane", "chunk", "revision", "rank", "size", "domain", "span", "run_cancelled"),
        *("on_doubt", "elsewhere_of", "among", "first", "trace"),
    )
    cancelled = part.state is DispatchState.PENDING and parent.get("run_cancelled")
    facts = [
        {"provider": yes.provider, "provider_id": yes.provider_id, "attempt": yes.attempt, **answer_of(yes), "at": now}
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
        "due_at": parent.get("due_at", parent.get("created_at", now)),
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
