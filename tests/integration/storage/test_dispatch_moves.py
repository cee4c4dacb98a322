"""Every trigger in every state, on a real MongoDB: a dispatch moves as MOVES says, or stays as it is."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mailroom.domain.dispatches.decisions import DispatchPart, Failure, Return, Split
from mailroom.domain.dispatches.doubts import Doubt
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimant, Claimed
from mailroom.domain.dispatches.outcomes import InDoubt
from mailroom.domain.dispatches.states import MOVES, DispatchState, DispatchTrigger
from mailroom.domain.ids import ClaimId, DispatchId, MessageId
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatches import acceptances, claims, doubts, elsewhere, exclusions, outcomes, splits
from mailroom.storage.dispatches.claims import ClaimedTogether
from mailroom.storage.dispatches.elsewhere import Departure
from mailroom.storage.dispatches.exclusions import Exclusion
from mailroom.storage.guard import LaneGuard
from tests.support.builders import NOW, a_claimable, a_claimed, a_dispatch
from tests.support.doubts import LANE, RUN, TOKEN, a_document

T, S = DispatchTrigger, DispatchState
# Of a run that was cancelled meanwhile.
CANCELLED_RUN = {T.RETURNED_CANCELLED, T.NOT_ACCEPTED_CANCELLED}


def a_claimed_one(id_: DispatchId) -> Claimed:
    return a_claimed(dispatch=id_, claim="c", lane=LANE, token=TOKEN, digest="d")


def a_doubt_of(id_: DispatchId) -> Doubt:
    return Doubt(
        dispatch=a_claimed_one(id_),
        marked_at=NOW,
        called_since=NOW,
        asked=0,
        used_a_try=False,
        doubted=ClaimId("c"),
        call_ended=True,
    )


def claim(db: Db, id_: DispatchId, guard: LaneGuard) -> None:
    new = a_claimed(dispatch=id_, claim="next", lane=LANE, token=TOKEN).claim
    together = ClaimedTogether(new, [a_claimable(id_, lane=LANE, attempt=1)])
    claimant = Claimant(new.sender, new.redis_identity, "mailgun", "mg.example.com")
    claims.claim(db, [together], claimant, now=NOW, guard=guard)


def hear_of(db: Db, id_: DispatchId, session: Session) -> None:
    doubts.hurry(db, [id_], now=NOW, session=session)


def parts(state: DispatchState = S.PENDING) -> list[DispatchPart]:
    return [DispatchPart([MessageId("run-1/a")], state)]


def say_it_was_sent(db: Db, id_: DispatchId, session: Session) -> None:
    doubts.went_out(db, id_, 1, by="ann", now=NOW, session=session)


def requeue(db: Db, id_: DispatchId, session: Session) -> None:
    doubts.send_again(db, {id_: a_dispatch(id_, attempt=1)}, by="ann", now=NOW, session=session)


def carry_on(db: Db, id_: DispatchId, guard: LaneGuard) -> None:
    """By a person, and by the log once its mail went elsewhere."""
    elsewhere.carry_on_by_person(db, Departure(id_, 1), by="ann", now=NOW, session=guard.session)
    went = {"$set": {"elsewhere": "second"}}
    db.dispatches.update_one({"_id": id_, "elsewhere": {"$exists": False}}, went, session=guard.session)
    elsewhere.end_first(db, [a_doubt_of(id_)], by="ann", now=NOW, guard=guard)


UNDER_GUARD: Mapping[DispatchTrigger, Callable[[Db, DispatchId, LaneGuard], Any]] = {
    T.CLAIMED: claim,
    T.RETURNED: lambda db, id_, guard: outcomes.return_to_pending(
        db, [Return(a_claimed_one(id_), NOW, "later")], now=NOW, guard=guard
    ),
    T.RETURNED_CANCELLED: lambda db, id_, guard: outcomes.return_to_pending(
        db, [Return(a_claimed_one(id_), NOW, "later")], now=NOW, guard=guard
    ),
    T.FAILED: lambda db, id_, guard: outcomes.fail(db, [Failure(a_claimed_one(id_), "no", 550)], now=NOW, guard=guard),
    T.ALL_GONE_OUT: lambda db, id_, guard: exclusions.leave_out(
        db, a_claimed_one(id_), Exclusion({}, [MessageId("run-1/a")], []), now=NOW, guard=guard
    ),
    T.ALL_SUPPRESSED: lambda db, id_, guard: exclusions.leave_out(
        db, a_claimed_one(id_), Exclusion({MessageId("run-1/a"): "unsubscribed"}, [], []), now=NOW, guard=guard
    ),
    T.NOT_ACCEPTED: lambda db, id_, guard: doubts.conclude_not_accepted(
        db, [(a_doubt_of(id_), NOW)], by="ann", now=NOW, guard=guard
    ),
    T.NOT_ACCEPTED_AND_OVER: lambda db, id_, guard: doubts.conclude_not_accepted(
        db, [(a_doubt_of(id_), None)], by="ann", now=NOW, guard=guard
    ),
    T.NOT_ACCEPTED_CANCELLED: lambda db, id_, guard: doubts.conclude_not_accepted(
        db, [(a_doubt_of(id_), NOW)], by="ann", now=NOW, guard=guard
    ),
    T.CARRIED_ON: carry_on,
    T.BEYOND_KNOWING: lambda db, id_, guard: doubts.conclude_unknown(
        db, [a_doubt_of(id_)], "no log", by="ann", now=NOW, guard=guard
    ),
}
BY_ANYBODY: Mapping[DispatchTrigger, Callable[[Db, DispatchId, Session], Any]] = {
    T.HEARD_OF: hear_of,
    T.SAID_TO_BE_SENT: say_it_was_sent,
    T.REQUEUED: requeue,
    T.CANCELLED: lambda db, _, session: outcomes.cancel(db, RUN, now=NOW, session=session),
    T.ANSWERED_IN_PART: lambda db, id_, session: splits.split_by_answer(
        db, Split(a_claimed_one(id_), parts(S.ACCEPTED), "ann", "in part"), now=NOW, session=session
    ),
}
FACTS: Mapping[DispatchTrigger, Callable[[Db, DispatchId], Any]] = {
    T.ACCEPTED: lambda db, id_: acceptances.record_accepted(
        db, [(a_claimed_one(id_), Acceptance("mailgun", "x", 1))], now=NOW
    ),
    T.ANSWER_LOST: lambda db, id_: outcomes.record_in_doubt(db, [(a_claimed_one(id_), InDoubt("no answer"))], now=NOW),
}


def move(db: Db, trigger: DispatchTrigger, state: DispatchState, id_: DispatchId) -> None:
    if trigger in FACTS:
        FACTS[trigger](db, id_)
        return

    def work(session: Session) -> None:
        if trigger in BY_ANYBODY:
            BY_ANYBODY[trigger](db, id_, session)
            return
        with lanes.under(db, {LANE: TOKEN}, session) as guard:
            if trigger is T.SPLIT:
                # A split names the state that it was decided in; one in which nothing is split is not decided.
                leaves = state if state in MOVES[T.SPLIT][0] else S.SENDING
                splits.split(db, Split(a_claimed_one(id_), parts(), "ann", "why"), leaves, now=NOW, guard=guard)
            else:
                UNDER_GUARD[trigger](db, id_, guard)

    in_transaction(db, work)


@pytest.mark.parametrize("trigger", list(DispatchTrigger))
def test_a_dispatch_moves_as_the_table_says_and_not_otherwise(db: Db, trigger: DispatchTrigger) -> None:
    lanes.raise_tokens(db, {LANE: TOKEN}, "ann", now=NOW)
    leaves, arrives = MOVES[trigger]
    cancelled = {"run_cancelled": True} if trigger in CANCELLED_RUN else {"may_move": True}
    seen, wanted = {}, {}
    for number, state in enumerate(DispatchState):
        id_ = DispatchId(f"run-1-d{number:05d}")
        db.dispatches.insert_one(a_document(id_, state=state, in_doubt_at=NOW, **cancelled))
        move(db, trigger, state, id_)
        stored = db.dispatches.find_one({"_id": id_})
        assert stored
        seen[state], wanted[state] = stored["state"], arrives if state in leaves else state

    assert seen == wanted


def test_what_a_restored_fence_says_of_an_acceptance_moves_as_an_acceptance_does(db: Db) -> None:
    ids = {state: DispatchId(f"run-1-d{number:05d}") for number, state in enumerate(DispatchState)}
    db.dispatches.insert_many(a_document(id_, state=state) for state, id_ in ids.items())
    done = Fence(FenceState.DONE, attempt=1, claim_id=ClaimId("c"), digest="d", provider_id="x")

    acceptances.replay_accepted(db, [(id_, done) for id_ in ids.values()])

    leaves, arrives = MOVES[T.ACCEPTED]
    for state, id_ in ids.items():
        stored = db.dispatches.find_one({"_id": id_})
        assert stored
        assert stored["state"] == (arrives if state in leaves else state)
