"""Mails that come back: what each kind says, in the forms of real servers; and what strangers send."""

import time
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.events import EventKind
from mailroom.domain.ids import RunId
from mailroom.domain.returned_mail.judging import Judgement, judge
from mailroom.domain.returned_mail.reading import MOST_READ, UnreadableMail, parsed
from mailroom.domain.returned_mail.unsubscribing import membership_of_link, membership_of_subject
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks
from tests.support.returned_mails import complaint, dsn, letter, out_of_office, plain_bounce

TO = "bounces+abc@example.org"
LINKS = UnsubscribeLinks("https://mail.example.com", ["a-key-of-16-chars"], mailbox="leave@example.com")
BO = Membership("bo@example.org", "newsletter", RunId("sch_1-20261201T090000Z"))
TOKEN = LINKS.url(BO).rpartition("/")[2]


def judged(raw: bytes) -> Judgement | None:
    return judge(parsed(raw))


@pytest.mark.parametrize(
    ("status", "words", "hard"),
    [
        ("5.1.1", "550 5.1.1 <bo@example.org>: Recipient address rejected: User unknown", True),
        ("5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", True),
        ("5.2.2", "552 5.2.2 mailbox full", False),
        ("5.7.1", "550 5.7.1 message rejected as spam", False),
        ("5.3.4", "552 5.3.4 message too large", False),
        ("4.4.7", "421 4.4.7 delivery time expired", False),
        ("5.0.0", "550 no such user here", True),
    ],
)
def test_a_failure_is_a_bounce_and_hard_only_if_it_blames_the_address(status: str, words: str, hard: bool) -> None:
    found = judged(dsn(TO, status=status, words=words))

    assert found
    assert (found.kind, found.hard) == (EventKind.BOUNCED, hard)
    assert found.code == int(words[:3])
    assert words[:20] in found.words


def test_a_delay_is_no_bounce() -> None:
    found = judged(dsn(TO, action="delayed", status="4.4.1", words="451 4.4.1 connection timed out"))

    assert found
    assert (found.kind, found.hard, found.code) == (EventKind.DEFERRED, False, 451)


@pytest.mark.parametrize(
    ("action", "kind"),
    [("delivered", EventKind.DELIVERED), ("relayed", EventKind.FEEDBACK), ("expanded", EventKind.FEEDBACK)],
)
def test_other_reports_of_a_delivery_are_no_bounces(action: str, kind: EventKind) -> None:
    found = judged(dsn(TO, action=action, status="2.0.0", words="250 2.0.0 ok"))

    assert found
    assert found.kind is kind


def test_a_report_without_an_action_goes_by_its_status() -> None:
    found = judged(dsn(TO).replace(b"Action: failed\r\n", b""))

    assert found
    assert (found.kind, found.hard) == (EventKind.BOUNCED, True)


def test_the_gravest_of_several_recipients_counts() -> None:
    """The mail went to one: a server that names several has expanded an alias."""
    first = b"Final-Recipient: rfc822; bo@example.org\r\n"
    delayed = b"Final-Recipient: rfc822; b2@example.org\r\nAction: delayed\r\nStatus: 4.2.0\r\n\r\n"

    found = judged(dsn(TO).replace(first, delayed + first))

    assert found
    assert found.kind is EventKind.BOUNCED


@pytest.mark.parametrize(
    ("words", "hard"),
    [("550 5.1.1 The email account does not exist", True), ("554 5.7.1 Blocked by policy", False), ("sorry", False)],
)
def test_a_bounce_in_words_for_people_counts_too(words: str, hard: bool) -> None:
    found = judged(plain_bounce(TO, words=words))

    assert found
    assert (found.kind, found.hard) == (EventKind.BOUNCED, hard)


def test_a_warning_in_words_is_a_delay() -> None:
    raw = plain_bounce(TO, words="451 4.3.0 try later").replace(b"failure notice", b"Warning: message delayed 24 hours")

    found = judged(raw)

    assert found
    assert (found.kind, found.hard) == (EventKind.DEFERRED, False)


def test_an_automatic_reply_is_no_bounce_whatever_it_says() -> None:
    found = judged(out_of_office(TO))

    assert found
    assert (found.kind, found.hard) == (EventKind.FEEDBACK, False)


@pytest.mark.parametrize(
    "mark",
    [
        "Auto-Submitted: auto-replied",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "X-Auto-Response-Suppress: OOF",
        "Subject: Abwesenheit: Hallo",
        "Subject: Out of Office",
    ],
)
def test_each_mark_of_an_automatic_reply_is_known(mark: str) -> None:
    raw = f"Return-Path: <>\r\nFrom: Bo <bo@example.org>\r\n{mark}\r\n\r\n550 5.1.1 no such user\r\n".encode()

    found = judged(raw)

    assert found
    assert found.kind is EventKind.FEEDBACK


def test_a_person_who_writes_to_a_return_path_bounces_nothing() -> None:
    assert judged(letter(TO, "Re: Hello", body="I got 550 5.1.1 when I wrote to you")) is None


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("abuse", EventKind.COMPLAINED),
        ("fraud", EventKind.COMPLAINED),
        ("not-spam", EventKind.FEEDBACK),
        ("auth-failure", EventKind.FEEDBACK),
    ],
)
def test_a_feedback_report_is_a_complaint_unless_it_says_something_else(kind: str, wanted: EventKind) -> None:
    found = judged(complaint(f"Return-Path: <{TO}>", kind=kind))

    assert found
    assert (found.kind, found.words) == (wanted, kind)


@pytest.mark.parametrize(
    "subject",
    [
        f"unsubscribe-{TOKEN}",
        f"UNSUBSCRIBE-{TOKEN}",
        f"Re: unsubscribe-{TOKEN} please",
        f"unsubscribe-{TOKEN[:60]}\n {TOKEN[60:]}",
        f"=?utf-8?Q?unsubscribe-{TOKEN[:30].replace('_', '=5F')}?=\n =?utf-8?Q?{TOKEN[30:].replace('_', '=5F')}?=",
    ],
)
def test_the_token_in_a_subject_names_reader_and_topic(subject: str) -> None:
    assert membership_of_subject(parsed(letter("leave@example.com", subject)), LINKS) == BO


@pytest.mark.parametrize("subject", ["unsubscribe", f"unsubscribe-{TOKEN[:-2]}", f"unsubscribe-{TOKEN.swapcase()}", ""])
def test_any_other_subject_names_nobody(subject: str) -> None:
    assert membership_of_subject(parsed(letter("leave@example.com", subject)), LINKS) is None


def test_a_complaint_about_a_mail_of_any_provider_is_known_by_the_link_in_it() -> None:
    raw = complaint(f"List-Unsubscribe: <{LINKS.url(BO)}>")

    assert membership_of_link(raw, LINKS) == BO


DEEP = b"".join(
    b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (number, number) for number in range(3_000)
)
ATTACKS = {
    "nothing": b"",
    "no headers": b"\r\n\r\nhello",
    "deep multiparts": DEEP,
    "boundary and spaces": b"From: a\r\n\r\n" + b"boundary" + b" " * 120_000,
    "deep mails": b"Content-Type: message/rfc822\r\n\r\n" * 5_000,
    "many headers": b"X: y\r\n" * 40_000 + b"\r\n",
    "a long header": b"Subject: " + b"=?utf-8?q?x?= " * 50_000 + b"\r\n\r\n",
    "a long line": b"From: a\r\n\r\n" + b"5.1.1 " * 100_000,
    "lines alone": dsn(TO)[:-4] + b"\r\n" * 200_000,
    "many groups": dsn(TO).replace(b"Status:", b"Action: failed\r\n\r\n" * 20_000 + b"Status:"),
    "half a report": dsn(TO)[: len(dsn(TO)) // 2],
    "zeros": bytes(200_000),
    "angles": b"From: mailer-daemon@x\r\nContent-Type: text/html\r\n\r\n" + b"<" * 120_000,
    "not of this world": dsn(TO).replace(b"us-ascii", b"klingon").replace(b"7bit", b"\xff\xfe"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_costs_little(attack: str) -> None:
    began = time.perf_counter()

    try:
        mail = parsed(ATTACKS[attack])
        found = judge(mail)
        membership_of_subject(mail, LINKS)
    except UnreadableMail:
        found = None

    assert time.perf_counter() - began < 2
    assert found is None or isinstance(found, Judgement)


def test_of_a_huge_mail_the_beginning_is_enough() -> None:
    found = judged(dsn(TO) + b"A" * (10 * MOST_READ))

    assert found
    assert found.kind is EventKind.BOUNCED


@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        mail = parsed(raw)
    except UnreadableMail:
        return

    assert isinstance(mail, Message)
    assert judge(mail) is None or isinstance(judge(mail), Judgement)
