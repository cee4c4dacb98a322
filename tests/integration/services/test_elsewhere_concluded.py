"""What becomes of a mail that went elsewhere, once its first call and its second are known."""

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.elsewhere import WentTwice
from mailroom.domain.dispatches.outcomes import Refusal, Refused
from mailroom.services.dispatching.claims import Room, claimable
from mailroom.services.reports import elsewhere
from mailroom.storage.database import Db, server_now
from tests.support.elsewhere import Log, Mail, Silent


def test_sent_by_the_second_it_may_have_gone_twice_until_the_first_is_concluded(mail: Mail) -> None:
    mail.go_elsewhere()
    assert mail.shown.went_twice is WentTwice.NO

    mail.accepted_elsewhere()

    assert (mail.status, mail.shown.went_twice) == ("sent", WentTwice.MAYBE)
    assert elsewhere.count(mail.db) == {WentTwice.NO: 0, WentTwice.MAYBE: 1, WentTwice.YES: 0}


def test_found_in_the_log_of_the_first_it_went_twice(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.accepted_elsewhere()

    mail.ask(Log("bo@example.org"))

    assert (mail.state(mail.first), mail.status, mail.shown.went_twice) == ("accepted", "sent", WentTwice.YES)
    assert elsewhere.count(mail.db)[WentTwice.YES] == 1


def test_not_accepted_by_the_first_it_went_once_and_is_not_sent_again(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.accepted_elsewhere()

    mail.ask(Log())

    assert (mail.state(mail.first), mail.state(mail.second)) == ("cancelled", "accepted")
    assert (mail.status, mail.shown.went_twice) == ("sent", WentTwice.NO)
    assert not claimable(mail.db, mail.held, now=server_now(mail.db), room=Room(10, 10**6, 10**6)).dispatches


def test_an_event_of_the_second_is_not_taken_for_one_of_the_first(mail: Mail) -> None:
    """The log of the first shows nothing: no event of the other provider contradicts that."""
    mail.go_elsewhere()
    mail.accepted_elsewhere()
    assert mail.db.messages.count_documents({"sent_at": {"$exists": True}}) == 1

    mail.ask(Silent())

    assert (mail.state(mail.first), mail.shown.went_twice) == ("unknown", WentTwice.MAYBE)


def test_an_event_of_the_first_settles_it_where_it_cannot_be_asked(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.accepted_elsewhere()
    event = {"_id": "e", "run_id": mail.id, "dispatch_id": mail.first, "kind": "delivered"}
    mail.db.events.insert_one({**event, "recipient": "bo@example.org"})

    mail.ask(Silent())

    assert (mail.state(mail.first), mail.shown.went_twice) == ("accepted", WentTwice.YES)


def test_refused_by_the_second_it_is_in_doubt_until_the_first_is_concluded(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.record(mail.call("smtp"), Refused(Refusal.PERMANENT, "no such user", 550))
    assert (mail.state(mail.second), mail.status) == ("failed", "in_doubt")

    mail.ask(Log())

    assert mail.status == "failed"


def test_refused_by_the_second_and_never_known_of_the_first_it_is_unknown(mail: Mail) -> None:
    mail.go_elsewhere()
    mail.record(mail.call("smtp"), Refused(Refusal.PERMANENT, "no such user", 550))

    mail.ask(Silent())

    assert mail.status == "unknown"


def test_not_accepted_by_the_first_its_second_may_go_by_any_provider(mail: Mail) -> None:
    mail.go_elsewhere()

    mail.ask(Log())

    waiting = claimable(mail.db, mail.held, now=server_now(mail.db), room=Room(10, 10**6, 10**6))
    assert [dispatch.among for dispatch in waiting.dispatches] == [()]
    assert mail.status == "queued"


def test_found_in_part_it_is_unknown_for_the_others(db: Db, fences: Fences) -> None:
    mail = Mail(db, fences, to=["bo@example.org", "cy@example.org"])
    mail.go_elsewhere()
    mail.record(mail.call("smtp"), Refused(Refusal.PERMANENT, "no", 554))

    mail.ask(Log("bo@example.org"))

    assert mail.state(mail.first) == "unknown"
    assert {one.address: one.state for one in mail.shown.recipients} == {
        "bo@example.org": "sent",
        "cy@example.org": "unknown",
    }
