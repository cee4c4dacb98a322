"""Who is left out of a call at the last moment."""

from mailroom.services.dispatching.exclusions import leave_out
from mailroom.storage.database import Db, server_now
from mailroom.storage.messages import document as messages
from tests.support.claims import a_claim


def test_who_is_known_to_have_the_mail_leaves_its_call_and_the_others_go(db: Db) -> None:
    claimed = a_claim(db, 3)
    mails = messages.of_dispatches(db, [claimed.id])
    first = mails[claimed.id][0].id
    db.messages.update_one({"_id": first}, {"$set": {"sent_at": server_now(db), "state": "delivered"}})

    ((left,), over) = leave_out(db, [claimed], mails := messages.of_dispatches(db, [claimed.id]))

    assert (left.messages, over) == (2, [])
    assert first not in {mail.id for mail in mails[claimed.id]}
    doc = db.messages.find_one({"_id": first})
    assert doc
    assert (doc["state"], doc["left_dispatch"], "dispatch_id" in doc) == ("delivered", claimed.id, False)
    assert messages.of_dispatches(db, [claimed.id]) == mails


def test_who_has_only_opened_the_mail_was_sent_it(db: Db) -> None:
    claimed = a_claim(db, 2)
    opened = messages.of_dispatches(db, [claimed.id])[claimed.id][0].id
    db.messages.update_one({"_id": opened}, {"$set": {"sent_at": server_now(db)}})

    leave_out(db, [claimed], messages.of_dispatches(db, [claimed.id]))

    doc = db.messages.find_one({"_id": opened})
    assert doc
    assert doc["state"] == "sent"


def test_where_everybody_has_the_mail_it_went_out(db: Db) -> None:
    claimed = a_claim(db, 2)
    db.messages.update_many({}, {"$set": {"sent_at": server_now(db), "state": "sent"}})

    left, over = leave_out(db, [claimed], messages.of_dispatches(db, [claimed.id]))

    assert (left, [one.id for one in over]) == ([], [claimed.id])
    doc = db.dispatches.find_one({"_id": claimed.id})
    assert doc
    assert (doc["state"], doc["messages"], doc["accepted"][0]["by"]) == ("accepted", 2, "its events")


def test_where_some_have_it_and_the_others_are_suppressed_it_went_out(db: Db) -> None:
    claimed = a_claim(db, 2)
    has, other = messages.of_dispatches(db, [claimed.id])[claimed.id]
    db.messages.update_one({"_id": has.id}, {"$set": {"sent_at": server_now(db), "state": "sent"}})
    db.suppressions.insert_one({"_id": other.address, "reason": "complained", "since": server_now(db)})

    left, over = leave_out(db, [claimed], messages.of_dispatches(db, [claimed.id]))

    assert (left, len(over)) == ([], 1)
    states = {doc["_id"]: doc["state"] for doc in db.messages.find()}
    assert states == {has.id: "sent", other.id: "suppressed"}
