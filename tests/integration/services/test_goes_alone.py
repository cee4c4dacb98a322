"""What goes alone is looked for once a second by every sender, and there is hardly ever anything."""

from datetime import timedelta

import pytest

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.ids import Lane, Token
from mailroom.services.dispatching.claims import claimable_alone
from mailroom.services.mails.accept import Outbox
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from tests.support.explaining import listened_to, work_of

HELD = {Lane("mail/0"): Token(1), Lane("mail/1"): Token(1)}
MAIL = EmailDraft(sender="a@mg.example.com", to=("bo@example.org",), subject="Hi", text="Yo")


@pytest.fixture
def crashed(db: Db) -> None:
    """Eight mails of both lanes, each of which was in hand at several crashes."""
    lanes.raise_tokens(db, HELD, "tests", now=server_now(db))
    outbox = Outbox(db, lanes=2)
    for _ in range(8):
        outbox.hand_in(MAIL, owner="ann")
    ids = sorted(doc["_id"] for doc in db.dispatches.find({}, {"_id": 1}))
    for number, id_ in enumerate(ids):  # a mail's lane follows from its id, which is random
        db.dispatches.update_one({"_id": id_}, {"$set": {"crashes": 2, "lane": f"mail/{number % 2}"}})


def wait(db: Db, *waiting: Lane) -> None:
    lanes.make_wait(db, {lane: (HELD[lane], server_now(db) + timedelta(minutes=1), "quota") for lane in waiting})


@pytest.mark.usefixtures("crashed")
def test_of_several_one_is_found(db: Db) -> None:
    found = claimable_alone(db, HELD, now=server_now(db))

    assert (len(found), found.alone) == (1, True)


@pytest.mark.usefixtures("crashed")
@pytest.mark.parametrize(("waits", "goes"), [("mail/0", "mail/1"), ("mail/1", "mail/0")])
def test_one_of_a_lane_that_waits_does_not_hide_one_of_another_lane(db: Db, waits: str, goes: str) -> None:
    wait(db, Lane(waits))

    assert [one.lane for one in claimable_alone(db, HELD, now=server_now(db)).dispatches] == [goes]


@pytest.mark.usefixtures("crashed")
def test_while_all_lanes_wait_none_is_found(db: Db) -> None:
    wait(db, *HELD)

    assert not len(claimable_alone(db, HELD, now=server_now(db)))


def test_while_there_is_none_a_look_is_one_query(db: Db) -> None:
    questions, heard = listened_to(db)

    assert not len(claimable_alone(heard, HELD, now=server_now(db)))
    assert len(questions.asked) == 1


@pytest.mark.usefixtures("crashed")
def test_a_look_passes_over_everything_that_does_not_go_alone(db: Db) -> None:
    one = db.dispatches.find_one()
    assert one is not None
    others = [{**one, "_id": f"other-{number}", "crashes": 0, "tell": True} for number in range(500)]
    db.dispatches.insert_many(others)

    work = work_of(db, lambda heard: claimable_alone(heard, HELD, now=server_now(db)))

    assert work.keys <= 8
    assert work.documents <= 8
