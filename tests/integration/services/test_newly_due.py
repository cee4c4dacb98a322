"""What has become due since the last look: as much as a look at all that is due would find, or it says that it is not
enough."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailroom.domain.dispatches.model import Claimable
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import Lane, Token
from mailroom.services.dispatching.claims import DueSince, Room, Waiting, claimable, newly_due
from mailroom.services.mails.accept import Outbox
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from mailroom.storage.holds import NOTHING_HELD

ROOM = Room(10, 10**6, 10**6)
HELD = {Lane("mail/0"): Token(1), Lane("mail/1"): Token(1)}
SECOND = timedelta(seconds=1)


@pytest.fixture
def outbox(db: Db) -> Outbox:
    lanes.raise_tokens(db, HELD, "tests", now=server_now(db))
    return Outbox(db, lanes=2)


def some_mails(outbox: Outbox) -> None:
    for priority in ("normal", "low", "high", "normal", "high", "normal"):
        outbox.hand_in(
            EmailDraft(sender="a@mg.example.com", to=("bo@example.org",), subject="Hi", text="Yo", priority=priority),
            owner="ann",
        )


def as_found(waiting: Waiting | None) -> list[Claimable]:
    assert waiting is not None
    return list(waiting.dispatches)


def test_it_is_the_same_in_the_same_order(db: Db, outbox: Outbox) -> None:
    some_mails(outbox)
    now = server_now(db)

    found = newly_due(db, HELD, due=DueSince(now - 60 * SECOND), now=now, room=ROOM)

    assert as_found(found) == as_found(claimable(db, HELD, now=now, room=ROOM))
    assert len(as_found(found)) == 6


def test_what_was_due_before_is_left_to_a_look_at_all(db: Db, outbox: Outbox) -> None:
    some_mails(outbox)
    now = server_now(db)
    oldest = db.dispatches.find_one({"rank": 1})
    assert oldest
    db.dispatches.update_one({"_id": oldest["_id"]}, {"$set": {"not_before": now - 600 * SECOND}})

    found = newly_due(db, HELD, due=DueSince(now - 60 * SECOND), now=now, room=ROOM)

    assert oldest["_id"] not in {one.id for one in as_found(found)}
    assert oldest["_id"] in {one.id for one in claimable(db, HELD, now=now, room=ROOM).dispatches}


@pytest.mark.parametrize("room", [Room(5, 10**6, 10**6), Room(10, 1, 10**6)], ids=["few dispatches", "few bytes"])
def test_it_says_that_there_is_no_room_for_all(db: Db, outbox: Outbox, room: Room) -> None:
    some_mails(outbox)
    db.dispatches.update_many({}, {"$set": {"size": 10}})
    now = server_now(db)

    assert newly_due(db, HELD, due=DueSince(now - 60 * SECOND), now=now, room=room) is None
    assert claimable(db, HELD, now=now, room=room).more


def test_it_says_that_lanes_wait(db: Db, outbox: Outbox) -> None:
    some_mails(outbox)
    now = server_now(db)
    db.lanes.update_one({"_id": "mail/0"}, {"$set": {"waits_until": now + 60 * SECOND, "waits_why": "a limit"}})

    assert newly_due(db, HELD, due=DueSince(now - 60 * SECOND), now=now, room=ROOM) is None
    assert claimable(db, HELD, now=now, room=ROOM).lanes_left_out


def test_with_a_rank_only_more_urgent_dispatches_are_found(db: Db, outbox: Outbox) -> None:
    some_mails(outbox)
    now = server_now(db)

    found = newly_due(db, HELD, due=DueSince(now - 60 * SECOND, more_urgent_than=Rank.NORMAL), now=now, room=ROOM)

    assert [one.rank for one in as_found(found)] == [Rank.HIGH, Rank.HIGH]


def test_it_says_that_all_sending_is_stopped(db: Db, outbox: Outbox) -> None:
    some_mails(outbox)
    now, stopped = server_now(db), replace(NOTHING_HELD, everything=True)

    assert newly_due(db, HELD, due=DueSince(now - 60 * SECOND), now=now, room=ROOM, on_hold=stopped) is None


def test_a_look_at_all_that_leaves_nothing_says_so(db: Db, outbox: Outbox) -> None:
    some_mails(outbox)
    now = server_now(db)

    assert not claimable(db, HELD, now=now, room=ROOM).more
    assert claimable(db, HELD, now=now, room=Room(6, 10**6, 10**6)).more  # it cannot know whether there are others
