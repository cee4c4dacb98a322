"""Crossings of fences that are settled, given up, forgotten by MongoDB, or final with other recipients."""

from datetime import timedelta

import pytest

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import CalledAt, CallResult, Refusal, Refused
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.errors import DispatchNotUnknown
from mailroom.domain.ids import ClaimId
from mailroom.services.dispatching.fences import cross_fences
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.outcomes import record
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.reconciliation.resolve import Resolution, resolve
from mailroom.storage.database import Db, server_now
from tests.support.builders import a_claimed
from tests.support.doubts import (
    DISPATCH,
    LANE,
    MINUTE,
    TOKEN,
    Forgetful,
    Silent,
    a_doubt,
    a_message,
    ask,
    by_smtp,
    of_smtp,
    the_state,
)

REFUSED = Refused(Refusal.PERMANENT, "its content is no longer kept")


def claimed(claim: str, *, cleared: tuple[str, ...] = (), digest: str = "d", redis_identity: str = "") -> Claimed:
    known = tuple(ClaimId(one) for one in cleared)
    told = {"lane": LANE, "digest": digest, "redis_identity": redis_identity, "cleared": known}
    return a_claimed(dispatch=DISPATCH, claim=claim, token=TOKEN, **told)


def goes(fences: Fences, dispatch: Claimed) -> bool:
    return fences.cross({dispatch.claim.id: [dispatch]})[0][dispatch].go


def test_a_crossing_that_was_given_up_for_lost_and_comes_late_changes_nothing(fences: Fences) -> None:
    first = claimed("c1")
    fences.release([first])

    assert not goes(fences, first)
    assert goes(fences, claimed("c2"))


def test_of_several_settled_crossings_whichever_stands_lets_the_next_one_pass(fences: Fences) -> None:
    assert goes(fences, claimed("c1"))

    assert not goes(fences, claimed("c3", cleared=("c2",)))
    assert not goes(fences, claimed("c3", cleared=("c11", "xc1")))
    assert goes(fences, claimed("c3", cleared=("c1", "c2")))


def test_redis_is_reminded_where_it_came_back_with_an_older_record(fences: Fences) -> None:
    fences.release([claimed("c1")])
    lost = Fence(FenceState.CROSSED, 2, ClaimId("lost"), "d", called_at=CalledAt("smtp", "h"))

    fences.seed([(claimed("c3"), lost)])

    assert not goes(fences, claimed("c3"))
    assert goes(fences, claimed("c4", cleared=("lost",)))


def test_a_take_over_doubts_its_own_call_where_the_crossing_that_stands_is_settled(db: Db, fences: Fences) -> None:
    """Redis came back with a copy that is older than the last crossing: the one before is no news."""
    cross_fences(fences, [claimed("c1")])
    claim = {"claim_id": "c2", "memory": "another", "cleared": ["c1"]}
    of_smtp(db, state="sending", **claim)

    take_over(LaneWork(db, fences, {LANE: TOKEN}, "another"), [])

    doc = db.dispatches.find_one({})
    assert doc
    assert (doc["state"], doc["doubted"], doc["provider"]) == ("in_doubt", "c2", "smtp")


@pytest.mark.parametrize("called", ["in doubt", "accepted"])
def test_a_refusal_fails_nothing_that_another_claim_has_called(db: Db, fences: Fences, called: str) -> None:
    lost = by_smtp(fences, LANE)
    if called == "accepted":
        fences.close([(lost, Acceptance("smtp", "250 ok", 1))])
    now = claimed("c2")
    a_doubt(db, state="sending", claim_id="c2", token=TOKEN)

    record(db, fences, [CallResult(now, REFUSED)], delays=Delays([]), now=server_now(db))

    assert the_state(db) == ("in_doubt" if called == "in doubt" else "accepted")


def test_what_was_refused_for_sure_stands_in_nobodys_way_though_redis_forgot_it(db: Db, fences: Fences) -> None:
    first = claimed("c2")
    cross_fences(fences, [first])
    a_doubt(db, state="sending", claim_id="c2", token=TOKEN)
    refused = Refused(Refusal.TEMPORARY, "not now", 451)
    record(db, fences, [CallResult(first, refused)], delays=Delays([timedelta()] * 3), now=server_now(db))
    fences._redis.hset(f"{{{LANE}}}:fence:{DISPATCH}", "outcome", "crossed")  # a second was lost

    doc = db.dispatches.find_one({})

    assert doc
    assert doc["state"] == "pending"
    assert goes(fences, claimed("c3", cleared=tuple(doc["cleared"])))


def test_what_is_final_with_other_recipients_ends_as_unknown_and_is_not_sent_again(db: Db, fences: Fences) -> None:
    lost = by_smtp(fences, LANE)
    fences.close([(lost, Acceptance("mailgun", "id", 1))])
    other = claimed("c2", digest="other", redis_identity=fences.redis_identity())
    a_doubt(db, state="sending", claim_id="c2", token=TOKEN, digest="other")
    a_message(db, 1)

    (result,) = cross_fences(fences, [other]).called_before
    record(db, fences, [result], delays=Delays([]), now=server_now(db))
    db.dispatches.update_one({}, {"$set": {"in_doubt_at": server_now(db) - 3 * MINUTE, "provider": "mailgun"}})

    assert ask(db, fences, Forgetful()) == "unknown"
    with pytest.raises(DispatchNotUnknown, match="with other recipients"):
        resolve(db, DISPATCH, Resolution.SEND_AGAIN, by="ann")
    resolve(db, DISPATCH, Resolution.WENT_OUT, by="ann")
    assert the_state(db) == "accepted"


def test_an_acceptance_that_is_read_from_a_fence_is_the_same_when_its_sender_tells_it(db: Db, fences: Fences) -> None:
    lost = by_smtp(fences, LANE)
    of_smtp(db)
    a_message(db, 1)
    fences.close([(lost, Acceptance("smtp", "250 ok", 1))])
    ask(db, fences, Silent())

    assert fences.close([(lost, Acceptance("smtp", "250 ok", 1))]) == []
    doc = db.dispatches.find_one({})
    assert doc
    assert [(one["provider"], one["provider_id"]) for one in doc["accepted"]] == [("smtp", "250 ok")]
