"""Mailgun's answers to a send, as our outcomes. Only well-formed answers of its own are believed.

Source: documentation.mailgun.com, "Errors"; for the texts its API's answers as collected in
shared/reference/providers.md, section 1 (read 2026-11). Users report 5xx for mail that went out: in doubt.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply
from mailroom.providers.pace import says_too_fast
from mailroom.providers.parsing import excerpt, json_of, refused_by_number, storable, told_wait

# 4xx that concern the account, its key or its domain rather than this mail: the lane waits for a person.
_ACCOUNT: Final = {401, 402, 403, 404, 429}
# Sent by proxies and time-outs on the way, not by Mailgun.
_NOT_MAILGUNS: Final = {408, 499}
_ACCOUNT_TEXT: Final = re.compile(r"is not allowed to send|domain .* (is )?(unverified|disabled)|free accounts", re.I)
# A 400 about a recipient: one bad recipient fails the whole call. Other 400s are about the mail, for all recipients.
_RECIPIENT_TEXT: Final = re.compile(
    r"\b(to|cc|bcc)['\"]? parameter is not a valid|recipient.*(invalid|not valid)", re.I
)
_SECONDS: Final = re.compile(r"try again after (\d+) seconds?", re.I)
_DATE: Final = re.compile(r"try again after (\w{3}, .+)$", re.I)


def read_reply(reply: Reply, *, now: datetime | None = None) -> Outcome:
    """The outcome by a whole answer of Mailgun."""
    body = json_of(reply.body)
    if reply.status == 200:
        return _accepted(body, reply)
    if 400 <= reply.status < 500 and reply.status not in _NOT_MAILGUNS:
        message = _message(body, reply)
        if message is not None:
            return _refused(reply, message, now or datetime.now(UTC))
    return refused_by_number(reply, "Mailgun", now=now) or InDoubt(
        f"Mailgun answered {reply.status}: {excerpt(reply.body)}", reply.status
    )


def _accepted(body: Any, reply: Reply) -> Outcome:
    """Accepted only if the body is JSON with a string `id`: a wrong path answers 200 with plain text."""
    if isinstance(body, dict) and isinstance(body.get("id"), str) and body["id"]:
        words = _message(body, reply) or ""
        return Accepted(storable(body["id"].strip("<>")), code=reply.status, reason=words)
    return InDoubt(f"Mailgun answered 200 without an id: {excerpt(reply.body)}", 200)


def _message(body: Any, reply: Reply) -> str | None:
    """Mailgun's own words: `{"message": ...}`, or the bare string Forbidden of a 401. None for others' pages."""
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return storable(body["message"])
    if reply.status == 401 and (body == "Forbidden" or reply.body.strip() == b"Forbidden"):
        return "Forbidden"
    return None


def _refused(reply: Reply, message: str, now: datetime) -> Refused:
    words = f"Mailgun answered {reply.status}: {message}"
    too_fast = reply.status == 429 or says_too_fast(message)
    if too_fast or reply.status in _ACCOUNT or _ACCOUNT_TEXT.search(message):
        wait = _retry_after(reply, message, now)
        return Refused(Refusal.ACCOUNT, words, reply.status, wait, too_fast=too_fast)
    kind = Refusal.RECIPIENT if _RECIPIENT_TEXT.search(message) else Refusal.PERMANENT
    return Refused(kind, words, reply.status)


def _retry_after(reply: Reply, message: str, now: datetime) -> timedelta | None:
    """The wait that a header or the text names; None without one. Neither header is documented for sends."""
    try:
        return told_wait(reply, now) or _wait_in_words(message, now)
    except (ValueError, OverflowError, OSError):
        return None  # not a number, or not a date


def _wait_in_words(message: str, now: datetime) -> timedelta | None:
    seconds = _SECONDS.search(message)
    if seconds:
        return timedelta(seconds=int(seconds[1]))
    date = _DATE.search(message)
    if date:
        return max(timedelta(), parsedate_to_datetime(date[1]).astimezone(UTC) - now)
    return None
