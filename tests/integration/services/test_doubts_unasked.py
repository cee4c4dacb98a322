"""Doubts of providers that cannot be asked, or whose log and events say different things."""

from datetime import timedelta

import pytest

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.doubts import Unaskable
from mailroom.domain.dispatches.model import Acceptance
from mailroom.domain.dispatches.outcomes import CalledAt, CallResult, InDoubt, InPart, Refusal, Refused
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.services.dispatching.fences import cross_fences
from mailroom.services.dispatching.outcomes import record
from mailroom.services.reconciliation.resolve import Resolution, resolve
from mailroom.storage.database import Db, server_now
from tests.support.builders import a_claimed
from tests.support.doubts import (
    DISPATCH,
    LANE,
    MINUTE,
    Forgetful,
    Silent,
    a_doubt,
    a_message,
    ask,
    by_smtp,
    of_smtp,
    the_state,
)


def test_as_long_as_its_call_may_still_be_made_a_doubt_is_not_unknown(db: Db, fences: Fences) -> None:
    """A person who is told that nobody knows may have it sent again: the call must be over by then."""
    of_smtp(db, called_ago=timedelta(seconds=90))
    assert ask(db, fences, Silent()) == "in_doubt"

    db.dispatches.update_one({}, {"$set": {"in_doubt_at": server_now(db) - 2 * MINUTE}})

    assert ask(db, fences, Silent()) == "unknown"


def test_where_the_call_ended_in_our_hands_nothing_is_waited_for(db: Db, fences: Fences) -> None:
    of_smtp(db, call_ended=True)

    assert ask(db, fences, Silent()) == "unknown"


def test_what_the_overtaken_sender_knows_is_read_from_its_fence(db: Db, fences: Fences) -> None:
    claimed = by_smtp(fences, LANE)
    of_smtp(db)
    a_message(db, 1)

    fences.release([claimed])

    assert ask(db, fences, Silent()) == "pending"


def test_an_acceptance_that_only_its_fence_knows_of_is_believed(db: Db, fences: Fences) -> None:
    claimed = by_smtp(fences, LANE)
    of_smtp(db)
    a_message(db, 1)

    fences.close([(claimed, Acceptance("smtp", "250 ok", 1))])

    assert ask(db, fences, Silent()) == "accepted"
    assert db.messages.find_one({}, {"state": 1, "_id": 0}) == {"state": "sent"}


@pytest.mark.parametrize("unaskable", [Unaskable.SEND_AGAIN, Unaskable.WENT_OUT])
def test_the_setting_for_those_who_cannot_be_asked_is_not_for_those_who_are_not_set_up(
    db: Db, fences: Fences, unaskable: Unaskable
) -> None:
    """Mailgun, say, while another sender has it in its settings still."""
    a_doubt(db, called_ago=timedelta(hours=1))

    assert ask(db, fences, Silent(), unaskable=unaskable) == "unknown"


def test_what_events_tell_and_the_log_does_not_show_is_not_sent_again(db: Db, fences: Fences) -> None:
    a_doubt(db, called_ago=timedelta(hours=1))
    a_message(db, 1, state="delivered", sent_at=server_now(db))
    a_message(db, 2)

    assert ask(db, fences, Forgetful()) == "unknown"


def test_what_neither_shows_is_sent_again(db: Db, fences: Fences) -> None:
    a_doubt(db, called_ago=timedelta(hours=1))
    a_message(db, 1)

    assert ask(db, fences, Forgetful()) == "pending"


@pytest.mark.parametrize("state", ["in_doubt", "unknown", "pending"])
def test_a_partial_yes_counts_however_late_it_is_known(db: Db, fences: Fences, state: str) -> None:
    claimed = by_smtp(fences, LANE)
    of_smtp(db, state=state)
    yes, no = a_message(db, 1), a_message(db, 2)
    refused = {"r2@example.org": Refused(Refusal.PERMANENT, "no such user", 550)}

    record(db, fences, [CallResult(claimed, InPart("250 ok", refused))], delays=Delays([]), now=server_now(db))

    states = {doc["_id"]: doc["state"] for doc in db.messages.find()}
    assert states == {yes: "sent", no: "failed"}


def test_a_word_about_one_attempt_is_not_taken_for_a_later_one(db: Db) -> None:
    of_smtp(db, state="unknown", attempt=2)

    with pytest.raises(Exception, match="attempt 2"):
        resolve(db, DISPATCH, Resolution.SEND_AGAIN, by="ann", attempt=1)

    resolve(db, DISPATCH, Resolution.SEND_AGAIN, by="ann", attempt=2)
    assert the_state(db) == "pending"


def test_a_crossing_without_a_place_is_asked_about_nowhere(db: Db, fences: Fences) -> None:
    claimed = by_smtp(fences, LANE)
    fences._redis.hdel(f"{{{LANE}}}:fence:{DISPATCH}", "where")  # as an earlier version kept it
    again = a_claimed(
        dispatch=DISPATCH, claim="c2", lane=LANE, token=6, digest="d", redis_identity=fences.redis_identity()
    )
    a_doubt(db, state="sending", claim_id="c2", token=6)

    (result,) = cross_fences(fences, [again]).called_before
    record(db, fences, [result], delays=Delays([]), now=server_now(db))

    assert isinstance(result.outcome, InDoubt)
    assert claimed.claim.id == result.outcome.crossed_by
    assert result.outcome.called_at == CalledAt("", "")
    db.dispatches.update_one({}, {"$set": {"in_doubt_at": server_now(db) - 3 * MINUTE}})
    assert ask(db, fences, Forgetful()) == "unknown"
