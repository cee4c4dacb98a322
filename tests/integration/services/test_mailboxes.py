"""Mailboxes of bounces, by a real IMAP server: each mail is taken in once, and whatever is not ours is left."""

from collections import Counter
from datetime import timedelta

import pytest

from config.settings import read_settings
from mailroom.assembly.api_and_sender import build_letterboxes
from mailroom.domain.errors import MailboxAway
from mailroom.domain.ids import RunId, message_id
from mailroom.domain.return_paths import ReturnPaths
from mailroom.domain.returned_mail.reading import MOST_READ
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks
from mailroom.mailboxes.imap import OpenFolder
from mailroom.services.operations import mailboxes
from mailroom.services.operations.mailboxes import Letterbox
from mailroom.services.operations.returned_mail import MailResult, Recognition
from mailroom.services.reports import counts as report_counts
from mailroom.storage import suppressions
from mailroom.storage.cluster import restore_mark
from mailroom.storage.database import Db, server_now
from tests.support.dovecot import Dovecot
from tests.support.planned import a_planned_run
from tests.support.returned_mails import complaint, dsn, letter, out_of_office, plain_bounce
from tests.support.system import System

KEY = "only-for-tests-0123456789"
PATHS = ReturnPaths("bounces@example.org", [KEY])
LINKS = UnsubscribeLinks("https://mail.example.com", [KEY], mailbox="bounces@example.org")
OURS = Recognition(PATHS, LINKS)
SEEN, STAR = {"\\Seen"}, {"\\Flagged"}


@pytest.fixture
def run(db: Db) -> RunId:
    """A planned run of five mails."""
    return a_planned_run(db, mails=5)


@pytest.fixture
def box(system: System, dovecot: Dovecot) -> Letterbox:
    settings = read_settings(system.environment | {"MAILROOM_MAILBOXES": dovecot.url()}, dotenv=None)
    return build_letterboxes(settings.returned_mail)[0]


def address(reader: int) -> str:
    return f"reader-{reader}@example.org"


def path(run: RunId, reader: int) -> str:
    return PATHS.of(run, address(reader))


def look(db: Db, box: Letterbox, by: str = "tests") -> Counter[MailResult]:
    done = mailboxes.look(db, box, OURS, by=by)
    assert done is not None
    return done


def state(db: Db, run: RunId, reader: int) -> str:
    return str(db.messages.find_one({"_id": message_id(run, address(reader))})["state"])


def scopes(db: Db, reader: int) -> dict[str, str]:
    stored = suppressions.get(db, address(reader))
    return {entry.scope: entry.reason for entry in stored.entries} if stored else {}


def test_each_kind_of_mail_does_what_an_event_of_a_provider_does(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId
) -> None:
    membership = Membership(address(4), "newsletter", run)
    dovecot.put(
        dsn(path(run, 0)),
        dsn(path(run, 1), action="delayed", status="4.4.1", words="451 4.4.1 timed out"),
        dsn(path(run, 2), status="5.2.2", words="552 5.2.2 mailbox full"),
        complaint(f"Return-Path: <{path(run, 3)}>"),
        letter("bounces@example.org", f"unsubscribe-{LINKS.url(membership).rpartition('/')[2]}", sender=address(4)),
        out_of_office(path(run, 3)),
    )

    done = look(db, box)

    assert done == {
        MailResult.BOUNCED: 2,
        MailResult.DEFERRED: 1,
        MailResult.COMPLAINED: 1,
        MailResult.UNSUBSCRIBED: 1,
        MailResult.NOTED: 1,
    }
    assert [state(db, run, reader) for reader in range(5)] == ["bounced", "deferred", "bounced", "queued", "queued"]
    assert [scopes(db, reader) for reader in range(5)] == [
        {"all": "bounced"},
        {},
        {},
        {"campaigns": "complained"},
        {"newsletter": "unsubscribed"},
    ]
    assert dovecot.flags() == [SEEN] * 6
    report = report_counts.run_report(db, run)[1]
    assert (report.bounced, report.complained, report.unsubscribed) == (2, 1, 1)
    reported, recounted = report_counts.audit(db, run)
    assert reported == recounted


def test_a_bounce_without_a_report_counts_by_its_return_path_alone(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId
) -> None:
    dovecot.put(plain_bounce(path(run, 0).upper()))

    assert look(db, box) == {MailResult.BOUNCED: 1}
    assert scopes(db, 0) == {"all": "bounced"}


def test_what_is_not_ours_is_left_unread_with_a_star_and_looked_at_once(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId
) -> None:
    forged = ReturnPaths("bounces@example.org", ["a-key-of-a-stranger"]).of(run, address(0))
    unknown = PATHS.of(RunId(f"{run.partition('-')[0]}-20200101T000000Z"), address(0))
    dovecot.put(
        dsn(forged),
        dsn("bounces@example.org"),
        dsn(unknown),
        letter(path(run, 0), "Re: Hello", body="550 5.1.1 is what I got"),
        letter("bounces@example.org", "unsubscribe-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        complaint("Subject: of somebody else"),
        b"Content-Type: multipart/mixed; boundary=a\r\n" * 200 + b"\r\n",
    )

    assert look(db, box) == {MailResult.LEFT: 7}
    assert look(db, box) == {}
    assert dovecot.flags() == [STAR] * 7
    assert db.events.count_documents({}) == 0
    assert [scopes(db, reader) for reader in range(5)] == [{}] * 5


def test_a_process_that_dies_before_the_mark_makes_no_second_bounce(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.put(dsn(path(run, 0)), dsn(path(run, 1)))
    with monkeypatch.context() as dying:
        dying.setattr(OpenFolder, "mark_read", lambda *_: (_ for _ in ()).throw(MailboxAway("the line is cut")))
        with pytest.raises(MailboxAway):
            look(db, box)
    assert db.events.count_documents({}) == 1
    assert dovecot.flags() == [set(), set()]

    done = look(db, box)

    assert done == {MailResult.REPEATED: 1, MailResult.BOUNCED: 1}
    assert db.events.count_documents({}) == 2
    assert dovecot.flags() == [SEEN, SEEN]


def test_the_same_bounce_delivered_twice_is_one(db: Db, dovecot: Dovecot, box: Letterbox, run: RunId) -> None:
    dovecot.put(dsn(path(run, 0), id_="same"), b"Received: from elsewhere\r\n" + dsn(path(run, 0), id_="same"))

    assert look(db, box) == {MailResult.BOUNCED: 1, MailResult.REPEATED: 1}
    assert db.events.count_documents({}) == 1


def test_a_reader_who_writes_twice_leaves_once(db: Db, dovecot: Dovecot, box: Letterbox, run: RunId) -> None:
    subject = f"unsubscribe-{LINKS.url(Membership(address(0), 'newsletter', run)).rpartition('/')[2]}"
    dovecot.put(letter("bounces@example.org", subject), letter("bounces@example.org", f"Re: {subject}"))

    assert look(db, box) == {MailResult.UNSUBSCRIBED: 1, MailResult.REPEATED: 1}
    assert [doc["by"] for doc in db.consents.find()] == ["mail"]


def test_a_complaint_about_a_mail_of_another_provider_is_known_by_its_link(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId
) -> None:
    dovecot.put(complaint(f"List-Unsubscribe: <{LINKS.url(Membership(address(2), 'newsletter', run))}>"))

    assert look(db, box) == {MailResult.COMPLAINED: 1}
    assert scopes(db, 2) == {"campaigns": "complained"}


def test_a_huge_bounce_is_read_by_its_beginning(db: Db, dovecot: Dovecot, box: Letterbox, run: RunId) -> None:
    dovecot.put(dsn(path(run, 0)) + b"A line of the attachment\r\n" * (20 * MOST_READ // 26))

    assert look(db, box) == {MailResult.BOUNCED: 1}


def test_one_process_at_a_time_reads_a_mailbox_and_another_one_after_it(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId
) -> None:
    look(db, box, by="first")
    dovecot.put(dsn(path(run, 0)))

    while_held = mailboxes.look(db, box, OURS, by="second")
    db.cluster.update_one({"_id": f"mailbox/{box.name}"}, [{"$set": {"until": "$$NOW"}}])
    after = mailboxes.look(db, box, OURS, by="second")

    assert while_held is None
    assert after == {MailResult.BOUNCED: 1}


def test_a_mailbox_that_is_let_go_is_read_by_the_next_process_at_once(db: Db, box: Letterbox) -> None:
    look(db, box, by="first")

    mailboxes.let_go(db, [box], by="first")

    assert look(db, box, by="second") == {}


def test_more_mails_than_one_step_takes_are_all_read(db: Db, dovecot: Dovecot, box: Letterbox, run: RunId) -> None:
    dovecot.put(*(dsn(path(run, number % 5)) for number in range(230)))

    assert look(db, box) == {MailResult.BOUNCED: 230}
    assert db.events.count_documents({}) == 230
    assert report_counts.run_report(db, run)[1].bounced == 5


def test_a_mailbox_that_is_away_has_its_reason_and_its_age_until_it_is_back(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId
) -> None:
    look(db, box)
    dovecot.stop()
    dovecot_is_away = pytest.raises(MailboxAway)
    with dovecot_is_away:
        look(db, box)
    ((_, away),) = mailboxes.states(db, [box])
    age_s = mailboxes.ages_s(db, [box], now=server_now(db) + timedelta(hours=1))[1]

    dovecot.start().put(dsn(path(run, 0)))
    done = look(db, box)

    assert "cannot be read" in away.fault
    assert age_s > 3_500
    assert done == {MailResult.BOUNCED: 1}
    assert mailboxes.states(db, [box])[0][1].fault == ""


def test_a_mail_that_meets_a_bug_is_left_and_holds_up_no_other(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.put(letter("bounces@example.org", "the odd one"), dsn(path(run, 0)))
    monkeypatch.setattr(
        "mailroom.services.operations.returned_mail.membership_of_subject",
        lambda mail, _: 1 / 0 if mail["Subject"] == "the odd one" else None,
    )

    assert look(db, box) == {MailResult.LEFT: 1, MailResult.BOUNCED: 1}
    assert dovecot.flags() == [STAR, SEEN]


@pytest.mark.parametrize("broken", ["fetch", "mark_read"])
def test_a_mail_that_cannot_be_fetched_or_marked_is_met_once_in_a_look(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    dovecot.put(dsn(path(run, 0)))
    met: list[int] = []

    def does_nothing(_: OpenFolder, uid: int, **__: object) -> None:
        met.append(uid)

    monkeypatch.setattr(OpenFolder, broken, does_nothing)

    look(db, box)

    assert len(met) == 1


def test_mails_behind_those_that_cannot_be_fetched_are_read(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.put(*(dsn(path(run, reader)) for reader in range(3)))
    fetch = OpenFolder.fetch
    monkeypatch.setattr(mailboxes, "_A_STEP", 1)
    monkeypatch.setattr(
        OpenFolder, "fetch", lambda self, uid, *, most: fetch(self, uid, most=most) if uid == 3 else None
    )

    assert look(db, box) == {MailResult.BOUNCED: 1}


def test_a_process_that_ends_while_it_takes_a_mail_in_leaves_it_as_it_is(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clients are closed beneath it."""
    dovecot.put(dsn(path(run, 0)))
    ended: list[bool] = []

    def closed(*_: object) -> None:
        ended.append(True)
        raise RuntimeError("the client is closed")

    with monkeypatch.context() as ending:
        ending.setattr("mailroom.services.operations.returned_mail.intake.take_in", lambda *_, **__: closed())
        mailboxes.look(db, box, OURS, by="tests", stopping=lambda: bool(ended))

    assert dovecot.flags() == [set()]
    assert look(db, box) == {MailResult.BOUNCED: 1}


def test_no_mailbox_is_read_while_mongodb_is_an_older_copy(
    db: Db, dovecot: Dovecot, box: Letterbox, run: RunId
) -> None:
    dovecot.put(dsn(path(run, 0)))
    restore_mark.note_held(db, True)

    assert mailboxes.look(db, box, OURS, by="tests") is None
    assert dovecot.flags() == [set()]
