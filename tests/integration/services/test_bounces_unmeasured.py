"""Bounces in reports: a number only where one could be known."""

from mailroom.domain.events import EventKind
from mailroom.domain.reports import Report
from mailroom.domain.runs import Run
from mailroom.services.feedback.intake import take_in
from mailroom.services.reports import counts as report_counts
from mailroom.storage.database import Db, server_now
from tests.support.builders import an_event
from tests.support.finished_runs import a_finished_run, sent_by_smtp


def report(db: Db, run: Run) -> Report:
    return report_counts.run_report(db, run.id)[1]


def test_mails_by_smtp_without_a_mailbox_have_no_number_of_bounces(db: Db) -> None:
    run = a_finished_run(db, 4)
    sent_by_smtp(db, run, bounces_read=False)

    found = report(db, run)

    assert (found.known_bounces, found.bounces_unmeasured) == (None, 4)
    assert report_counts.schedule_report(db, run.schedule_id).total.known_bounces is None


def test_mails_by_smtp_whose_bounces_are_read_have_one(db: Db) -> None:
    run = a_finished_run(db, 4)
    sent_by_smtp(db, run, bounces_read=True)

    found = report(db, run)

    assert (found.known_bounces, found.bounces_unmeasured) == (0, 0)


def test_mails_by_a_provider_with_webhooks_have_one(db: Db) -> None:
    run = a_finished_run(db, 4)
    sent_by_smtp(db, run, bounces_read=False)
    db.dispatches.update_many({}, {"$set": {"provider": "mailgun"}})

    assert report(db, run).known_bounces == 0


def test_a_run_by_two_providers_has_the_bounces_of_one_and_says_how_many_are_not_measured(db: Db) -> None:
    run = a_finished_run(db, 4)
    sent_by_smtp(db, run, bounces_read=False)
    first = db.messages.find_one({"run_id": run.id})
    db.dispatches.update_one({"_id": first["dispatch_id"]}, {"$set": {"provider": "mailgun"}})
    event = an_event(EventKind.BOUNCED, id_="b", run_id=run.id, recipient=first["address"])
    take_in(db, [event], now=server_now(db))

    found = report(db, run)

    assert (found.known_bounces, found.bounces_unmeasured) == (1, 3)


def test_mails_that_were_not_sent_are_not_counted(db: Db) -> None:
    run = a_finished_run(db, 4, failed=2)
    sent_by_smtp(db, run, bounces_read=False)

    assert report(db, run).bounces_unmeasured == 2
