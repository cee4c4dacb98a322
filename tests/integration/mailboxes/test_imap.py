"""A folder of a real IMAP server: found, fetched, marked, and away."""

import socket
import time
from dataclasses import replace

import pytest

from config.settings import read_settings
from local.ports import free_port
from mailroom.assembly.api_and_sender import build_letterboxes
from mailroom.domain.errors import MailboxAway
from mailroom.domain.imap_places import ImapPlace
from mailroom.domain.returned_mail.reading import parsed
from mailroom.mailboxes.imap import ImapFolder
from tests.support.dovecot import PASSWORD, Dovecot
from tests.support.returned_mails import letter

BARE = {
    "MAILROOM_MONGO_URL": "mongodb://h/mailroom?replicaSet=x",
    "MAILROOM_ETCD_URL": "http://a:2379",
    "MAILROOM_REDIS_URL": "redis://h/0",
    "MAILROOM_SECRET_KEY": "0123456789abcdef-secret",
    "MAILROOM_PROVIDERS": "smtp",
    "SMTP_URL": "smtp://localhost",
}


def a_folder(url: str) -> ImapFolder:
    """As the settings have it."""
    settings = read_settings(BARE | {"MAILROOM_MAILBOXES": url}, dotenv=None)
    (box,) = build_letterboxes(settings.returned_mail)
    return box.folder


def put(dovecot: Dovecot, *subjects: str) -> None:
    dovecot.put(*(letter("bounces@example.org", subject) for subject in subjects))


@pytest.mark.parametrize("tls", ["none", "implicit", "starttls"])
def test_new_mails_are_found_in_their_order_and_fetched_without_a_mark(dovecot: Dovecot, tls: str) -> None:
    put(dovecot, "one", "two", "three")

    with a_folder(dovecot.url(tls=tls)).open() as folder:
        uids = folder.new_mails(limit=2)
        mails = [folder.fetch(uid, most=10_000) for uid in uids]

    assert [parsed(mail.raw)["Subject"] for mail in mails] == ["one", "two"]
    assert [mail.size - len(mail.raw) for mail in mails] == [0, 0]
    assert dovecot.flags() == [set(), set(), set()]


def test_marked_mails_are_not_found_again_and_a_star_leaves_a_mail_unread(dovecot: Dovecot) -> None:
    put(dovecot, "one", "two", "three")

    with a_folder(dovecot.url()).open() as folder:
        first, second, third = folder.new_mails(limit=10)
        folder.mark_read(first)
        folder.give_star(second)
        left = folder.new_mails(limit=10)

    assert left == [third]
    assert dovecot.flags() == [{"\\Seen"}, {"\\Flagged"}, set()]


def test_of_a_huge_mail_the_beginning_alone_is_fetched(dovecot: Dovecot) -> None:
    dovecot.put(letter("bounces@example.org", "huge", body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 40_000))

    with a_folder(dovecot.url()).open() as folder:
        mail = folder.fetch(folder.new_mails(limit=1)[0], most=1_000)

    assert mail
    assert len(mail.raw) == 1_000
    assert mail.size > 2_000_000


def test_a_mail_that_is_gone_is_none(dovecot: Dovecot) -> None:
    with a_folder(dovecot.url()).open() as folder:
        assert folder.new_mails(limit=1) == []
        assert folder.fetch(77, most=1_000) is None


def test_a_wrong_password_is_told_without_the_password(dovecot: Dovecot) -> None:
    with pytest.raises(MailboxAway) as told, a_folder(dovecot.url(password="wrong-secret")).open():
        pass

    assert "bounces@example.org" in str(told.value)
    assert "wrong-secret" not in str(told.value)


def test_a_folder_that_is_not_there_is_told(dovecot: Dovecot) -> None:
    with pytest.raises(MailboxAway, match="Nowhere"), a_folder(dovecot.url(folder="Nowhere")).open():
        pass


def test_a_certificate_of_a_stranger_is_refused(dovecot: Dovecot) -> None:
    folder = a_folder(dovecot.url(tls="implicit"))

    with (
        pytest.raises(MailboxAway, match="certificate"),
        ImapFolder(replace(folder.place, ca="")).open(),
    ):
        pass


def test_a_server_that_is_away_is_told_at_once() -> None:
    folder = a_folder(f"imap://u:p@127.0.0.1:{free_port()}/?tls=none")
    began = time.monotonic()

    with pytest.raises(MailboxAway, match=r"127\.0\.0\.1"), folder.open():
        pass

    assert time.monotonic() - began < 5


def test_a_server_that_says_nothing_is_left_after_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom.mailboxes.imap._TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        folder = a_folder(f"imap://u:p@127.0.0.1:{silent.getsockname()[1]}/?tls=none")

        with pytest.raises(MailboxAway, match="TimeoutError"), folder.open():
            pass


def test_no_password_shows(dovecot: Dovecot) -> None:
    folder = a_folder(dovecot.url())

    assert PASSWORD not in repr(folder) + str(folder)
    assert PASSWORD not in repr(ImapPlace(folder.place.host, 1, "none", "u", PASSWORD))
