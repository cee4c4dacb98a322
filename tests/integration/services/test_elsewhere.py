"""Single mails that go by another provider while their first calls are in doubt: which, when, and by whom."""

from datetime import timedelta

import pytest

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.elsewhere import WentTwice
from mailroom.domain.dispatches.outcomes import InDoubt, InPart, Refusal, Refused
from mailroom.domain.ids import DispatchId, EmailId
from mailroom.services.dispatching.claims import Room, claimable
from mailroom.services.mails import view
from mailroom.services.operations import ledger
from mailroom.storage.database import Db, server_now
from tests.support.elsewhere import Log, Mail, Silent


def test_after_a_few_seconds_it_goes_elsewhere_and_its_first_call_stays_in_doubt(mail: Mail) -> None:
    mail.lose_its_answer()
    assert mail.move() == 0
    mail.age()

    assert mail.move() == 1

    assert (mail.state(mail.first), mail.state(mail.second)) == ("in_doubt", "pending")
    second = mail.claim("smtp")
    assert (second.id, second.messages, second.attempt, second.tries) == (mail.second, 1, 1, 0)
    assert mail.status == "in_doubt"


def test_it_goes_elsewhere_once(mail: Mail) -> None:
    mail.go_elsewhere()

    assert mail.move() == 0
    second = mail.call("smtp")
    mail.record(second, InDoubt("no answer"))
    mail.age(timedelta(hours=1))
    mail.age(timedelta(hours=1), of=mail.second)

    assert mail.move() == 0
    assert mail.state(mail.second) == "in_doubt"


def test_a_mail_that_waits_never_does(db: Db, fences: Fences) -> None:
    mail = Mail(db, fences, on_doubt="wait")
    mail.lose_its_answer()
    mail.age(timedelta(hours=1))

    assert mail.move() == 0
    assert db.dispatches.count_documents({}) == 1


def test_without_another_provider_it_stays_until_there_is_one(mail: Mail) -> None:
    mail.lose_its_answer()
    mail.age()
    mail.db.providers.insert_one({"_id": "smtp", "enabled": False})
    assert mail.move() == 0

    mail.db.providers.delete_one({"_id": "smtp"})

    assert mail.move() == 1


def test_it_goes_elsewhere_though_hundreds_before_it_can_go_by_no_other_provider(mail: Mail) -> None:
    mail.lose_its_answer("smtp")
    mail.age()
    (doc,) = mail.db.dispatches.find({"_id": mail.first})
    older = {"provider": "mailgun", "may_move": doc["may_move"] - timedelta(hours=1)}
    mail.db.dispatches.insert_many([doc | older | {"_id": f"stays-{n}", "claim_id": f"c{n}"} for n in range(200)])
    mail.db.providers.insert_one({"_id": "smtp", "enabled": False})

    assert mail.move() == 1

    assert mail.state(mail.second) == "pending"


def test_it_goes_by_the_others_in_the_order_of_the_moment(mail: Mail) -> None:
    mail.lose_its_answer()
    mail.age()
    mail.move(["ses", "mailgun", "smtp"])

    waiting = claimable(mail.db, mail.held, now=server_now(mail.db), room=Room(10, 10**6, 10**6))

    assert [dispatch.among for dispatch in waiting.dispatches] == [("ses", "smtp")]


def test_a_cancelled_mail_does_not_go_elsewhere(mail: Mail) -> None:
    mail.lose_its_answer()
    mail.age()
    with pytest.raises(Exception, match="cannot be cancelled"):
        view.cancel(mail.db, EmailId(mail.id))

    assert mail.move() == 0


def test_cancelled_afterwards_its_second_call_is_not_made(mail: Mail) -> None:
    mail.go_elsewhere()

    with pytest.raises(Exception, match="in doubt"):
        view.cancel(mail.db, EmailId(mail.id))

    assert (mail.state(mail.second), mail.status) == ("cancelled", "in_doubt")
    mail.ask(Log())
    assert mail.status == "cancelled"


def test_what_smtp_leaves_unknown_goes_elsewhere_too(mail: Mail) -> None:
    mail.lose_its_answer()
    mail.ask(Silent())
    assert (mail.state(mail.first), mail.status) == ("unknown", "unknown")

    assert mail.move() == 1
    mail.accepted_elsewhere()

    assert (mail.state(mail.first), mail.status) == ("unknown", "sent")
    assert mail.shown.went_twice is WentTwice.MAYBE


def test_a_part_of_a_mail_goes_elsewhere_by_itself(db: Db, fences: Fences) -> None:
    mail = Mail(db, fences, to=["bo@example.org", "cy@example.org"])
    first = mail.call()
    refused = {"cy@example.org": Refused(Refusal.TEMPORARY, "later", 451)}
    mail.record(first, InPart("250 ok", refused))
    db.dispatches.update_many({"state": "pending"}, {"$set": {"not_before": server_now(db)}})
    part = mail.lose_its_answer()
    mail.first, mail.second = part.id, DispatchId(part.id.replace(".", "x"))
    mail.age()

    assert mail.move() == 1
    mail.accepted_elsewhere()

    assert mail.state(mail.second) == "accepted"
    assert (mail.status, mail.shown.went_twice) == ("sent", WentTwice.MAYBE)


def test_every_call_is_counted_and_shown(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.accepted_elsewhere()

    (recipient,) = mail.shown.recipients
    assert mail.shown.tries[recipient.id] == 2
    told = [step.what for step in view.events_of(mail.db, EmailId(mail.id))]
    assert told == ["planned", "claimed", "in_doubt", "went_elsewhere", "planned elsewhere", "claimed", "accepted"]


def test_the_ledger_balances_and_counts_it_apart(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.accepted_elsewhere()
    mail.ask(Log("bo@example.org"))
    now = server_now(mail.db)

    made = ledger.check(mail.db, since=now - timedelta(days=1), fences=mail.fences, young=timedelta())

    assert not made.imbalances
    assert made.counted["single mails that went elsewhere, went twice: yes"] == 1
