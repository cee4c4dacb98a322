"""Mails as mail servers, responders and readers send them to a return path. The forms are those of Postfix, Exim, qmail
and Microsoft 365, as their documents show them, and of RFC 3464 and RFC 5965; names and words are ours."""

import uuid
from datetime import UTC, datetime
from email.utils import format_datetime

_HEAD = """Return-Path: <>
Delivered-To: {to}
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: {to}
Date: {date}
Subject: {subject}
Message-ID: <{id}@mx.example.net>
"""


def dsn(
    to: str,
    *,
    action: str = "failed",
    status: str = "5.1.1",
    words: str = "550 5.1.1 <bo@example.org>: Recipient address rejected: User unknown",
    id_: str = "",
    subject: str = "Undelivered Mail Returned to Sender",
) -> bytes:
    """A report as Postfix writes it."""
    head = _head(to, id_, subject)
    return _bytes(
        f"""{head}Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="9B095B5ADSN=_01/mx.example.net"

This is a MIME-encapsulated message.

--9B095B5ADSN=_01/mx.example.net
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

--9B095B5ADSN=_01/mx.example.net
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
X-Postfix-Queue-ID: 4F1A2B3C
Arrival-Date: Tue,  1 Dec 2026 09:00:00 +0000 (UTC)

Final-Recipient: rfc822; bo@example.org
Original-Recipient: rfc822;bo@example.org
Action: {action}
Status: {status}
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; {words}

--9B095B5ADSN=_01/mx.example.net
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Return-Path: <{to}>
From: Shop <shop@mg.example.com>
Subject: Hello
--9B095B5ADSN=_01/mx.example.net--
"""
    )


def plain_bounce(to: str, *, words: str = "550 5.1.1 The email account does not exist", id_: str = "") -> bytes:
    """As Exim of old and qmail write it: words for people."""
    return _bytes(
        f"""{_head(to, id_, "failure notice")}
Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<bo@example.org>:
192.0.2.1 does not like recipient.
Remote host said: {words}
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

Return-Path: <{to}>
Subject: Hello
"""
    )


def out_of_office(to: str, *, id_: str = "") -> bytes:
    return _bytes(
        f"""Return-Path: <>
From: Bo <bo@example.org>
To: {to}
Date: {_now()}
Subject: Automatic reply: Hello
Auto-Submitted: auto-replied
X-Auto-Response-Suppress: All
Message-ID: <{id_ or uuid.uuid4().hex}@example.org>

I am away until Monday. In urgent cases call 550 5.1.1 or write to my colleague.
"""
    )


def complaint(in_original: str, *, to: str = "fbl@example.org", kind: str = "abuse", id_: str = "") -> bytes:
    """A feedback report (RFC 5965). `in_original`: lines of the head of the mail that it is about."""
    return _bytes(
        f"""From: <feedback@isp.example>
To: <{to}>
Date: {_now()}
Subject: FW: Hello
Message-ID: <{id_ or uuid.uuid4().hex}@isp.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1"

--part1
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for an email message received from IP 192.0.2.1.

--part1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1

--part1
Content-Type: message/rfc822

{in_original}
Subject: Hello

Spam
--part1--
"""
    )


def letter(to: str, subject: str, *, sender: str = "bo@example.org", id_: str = "", body: str = "Hello") -> bytes:
    """A mail that a person writes."""
    return _bytes(
        f"""Return-Path: <{sender}>
From: Bo <{sender}>
To: {to}
Date: {_now()}
Subject: {subject}
Message-ID: <{id_ or uuid.uuid4().hex}@example.org>

{body}
"""
    )


def _head(to: str, id_: str, subject: str) -> str:
    return _HEAD.format(to=to, date=_now(), subject=subject, id=id_ or uuid.uuid4().hex)


def _now() -> str:
    return format_datetime(datetime.now(UTC))


def _bytes(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
