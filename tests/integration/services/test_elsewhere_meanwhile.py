"""A mail that goes elsewhere while something else happens to it: a late answer, a conclusion, a person, a restore."""

import pytest

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.elsewhere import WentTwice
from mailroom.domain.dispatches.outcomes import Accepted, InPart, Refusal, Refused
from mailroom.domain.errors import DispatchNotUnknown
from mailroom.services.dispatching.claims import Room, claimable
from mailroom.services.dispatching.exclusions import leave_out
from mailroom.services.dispatching.fences import cross_fences
from mailroom.services.reconciliation.resolve import Resolution, resolve
from mailroom.storage.database import Db, server_now
from mailroom.storage.messages import document as messages
from tests.support.elsewhere import Log, Mail, Silent, Slow


def test_known_of_the_first_before_the_second_call_it_is_not_called(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.ask(Log("bo@example.org"))
    claimed = mail.claim("smtp")

    left, over = leave_out(mail.db, [claimed], messages.of_dispatches(mail.db, [claimed.id]))

    assert (left, [one.id for one in over]) == ([], [mail.second])
    assert (mail.status, mail.shown.went_twice) == ("sent", WentTwice.NO)


def test_a_yes_that_its_frozen_sender_brings_late_is_a_fact(mail: Mail) -> None:
    first = mail.go_elsewhere()

    mail.record(first, Accepted("late"))
    mail.accepted_elsewhere()

    assert (mail.state(mail.first), mail.shown.went_twice) == ("accepted", WentTwice.YES)


def test_a_partial_yes_that_comes_late_divides_nothing(db: Db, fences: Fences) -> None:
    mail = Mail(db, fences, to=["bo@example.org", "cy@example.org"])
    first = mail.go_elsewhere()

    mail.record(first, InPart("late", {"cy@example.org": Refused(Refusal.PERMANENT, "no such user", 550)}))

    assert mail.state(mail.first) == "in_doubt"
    assert {one.address: one.state for one in mail.shown.recipients} == {
        "bo@example.org": "sent",
        "cy@example.org": "in_doubt",
    }


def test_concluded_before_it_could_go_elsewhere_its_new_attempt_has_the_fence_of_the_second(mail: Mail) -> None:
    mail.lose_its_answer()

    mail.ask(Log())

    assert mail.state(mail.first) == "cancelled"
    again = mail.call("mailgun")
    assert (again.id, again.tries) == (mail.second, 1)
    mail.record(again, Accepted("yes"))
    assert (mail.status, mail.shown.went_twice) == ("sent", WentTwice.NO)


def test_a_person_who_has_it_sent_again_uses_the_fence_of_the_second(mail: Mail) -> None:
    mail.lose_its_answer()
    mail.ask(Silent())

    resolve(mail.db, mail.first, Resolution.SEND_AGAIN, by="ann")

    assert (mail.state(mail.first), mail.state(mail.second), mail.status) == ("cancelled", "pending", "queued")


def test_a_person_cannot_send_again_what_went_elsewhere(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.ask(Silent())

    with pytest.raises(DispatchNotUnknown, match="carries it on"):
        resolve(mail.db, mail.first, Resolution.SEND_AGAIN, by="ann")

    resolve(mail.db, mail.first, Resolution.WENT_OUT, by="ann")
    assert mail.status == "sent"


@pytest.mark.parametrize("again", ["by the time", "by the log", "by a person"])
def test_a_mongodb_from_before_it_went_elsewhere_calls_nobody_a_second_time(mail: Mail, again: str) -> None:
    """The copy knows of the first doubt alone. Its dispatch elsewhere has the same name, and a fence in Redis."""
    mail.lose_its_answer()
    copy = {name: list(mail.db[name].find()) for name in ("dispatches", "messages")}
    mail.age()
    mail.move()
    mail.accepted_elsewhere()
    for name, documents in copy.items():
        mail.db[name].delete_many({})
        mail.db[name].insert_many(documents)

    if again == "by the log":
        mail.ask(Log())
    elif again == "by a person":
        mail.ask(Silent())
        resolve(mail.db, mail.first, Resolution.SEND_AGAIN, by="ann")
    else:
        mail.age()
        assert mail.move() == 1

    second = mail.claim("smtp")
    crossing = cross_fences(mail.fences, [second])
    assert not crossing.go
    (before,) = crossing.called_before
    mail.record(second, before.outcome)
    assert (mail.state(mail.second), mail.status) == ("accepted", "sent")


@pytest.mark.parametrize("seen", [(), ("bo@example.org",)], ids=["nobody", "in part"])
def test_a_conclusion_about_a_mail_that_went_elsewhere_before_gives_it_no_new_attempt(
    db: Db, fences: Fences, seen: tuple[str, ...]
) -> None:
    mail = Mail(db, fences, to=["bo@example.org", "cy@example.org"])
    mail.lose_its_answer()

    mail.ask(Slow(mail, *seen))

    assert mail.state(mail.first) == "in_doubt"
    waiting = claimable(db, mail.held, now=server_now(db), room=Room(10, 10**6, 10**6))
    assert [dispatch.id for dispatch in waiting.dispatches] == [mail.second]
    mail.ask(Log(*seen))
    assert mail.state(mail.first) == ("unknown" if seen else "cancelled")


def test_no_try_left_is_no_end_of_a_mail_that_went_elsewhere_before(mail: Mail) -> None:
    mail.lose_its_answer()
    mail.db.dispatches.update_one({"_id": mail.first}, {"$set": {"crashes": 3}})

    mail.ask(Slow(mail))

    assert mail.state(mail.first) == "in_doubt"
