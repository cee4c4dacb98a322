"""Resend's answers to a send, as our outcomes. Only well-formed answers of its own are believed.

Source: resend.com/docs/api-reference/errors, /introduction ("Rate limit") and resend.com/docs/dashboard/emails/
idempotency-keys (read 2026-11): 200 with `{"id"}`, for a batch with `{"data": [{"id"}]}` in the order of its mails;
else `{"statusCode", "name", "message"}`. A 5xx may have gone out, and so may a call whose idempotency key another call
had: in doubt.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Outcome, Refusal, Refused
from mailroom.providers.batches import BatchReply
from mailroom.providers.connection import Reply
from mailroom.providers.pace import pause_for, says_too_fast
from mailroom.providers.parsing import excerpt, json_of, mapping, refused_by_number, storable, told_wait

# Sent by proxies and time-outs on the way; and 409, which says that a call with this key was made before.
_NO_REFUSALS: Final = {408, 409, 499}
_ACCOUNT: Final = {401, 403, 404, 405, 429}
_UNVERIFIED: Final = "validation_error"  # with 403: the sender's domain, or the account, is not verified
_SECURITY: Final = 451
_RECIPIENT: Final = re.compile(r"([`'\"]|\]\.)(to|cc|bcc)\b", re.I)


def read_reply(reply: Reply, *, now: datetime | None = None) -> Outcome:
    """The outcome by a whole answer of Resend."""
    body = mapping(json_of(reply.body))
    doubt = InDoubt(f"Resend answered {reply.status}: {excerpt(reply.body)}", reply.status)
    if reply.status in (200, 201):
        id_ = _id(body, reply.recipients if isinstance(reply, BatchReply) else ())
        return Accepted(storable(id_)) if id_ else doubt
    if not 400 <= reply.status < 500 or reply.status in _NO_REFUSALS:
        return doubt
    name, message = body.get("name"), body.get("message")
    if not isinstance(name, str) or not name or not isinstance(message, str):
        return refused_by_number(reply, "Resend", now=now) or doubt
    return _refused(reply, name, message, now or datetime.now(UTC))


def _id(body: Any, recipients: Sequence[str]) -> str:
    """The id of a mail, or that of a batch's first; '' unless each mail of the batch has one."""
    if not recipients:
        return _text(body.get("id"))
    data = body.get("data")
    ids = [_text(mapping(mail).get("id")) for mail in data] if isinstance(data, list) else []
    return ids[0] if len(ids) == len(recipients) and all(ids) and not body.get("errors") else ""


def _refused(reply: Reply, name: str, message: str, now: datetime) -> Refused:
    words = storable(f"Resend answered {reply.status} {name}: {message}")
    if reply.status == _SECURITY or (reply.status == 403 and name == _UNVERIFIED):
        # About this mail's sender or the whole account: tried again, perhaps elsewhere, and no other mail waits.
        return Refused(Refusal.TEMPORARY, words, reply.status)
    too_fast = reply.status == 429 or says_too_fast(message)
    if too_fast or reply.status in _ACCOUNT:
        # A quota is named by its day or its month.
        wait = told_wait(reply, now) or (pause_for(f"{name.replace('_', ' ')}: {message}") if too_fast else None)
        return Refused(Refusal.ACCOUNT, words, reply.status, wait, too_fast=too_fast)
    recipient = _RECIPIENT.search(message)
    return Refused(Refusal.RECIPIENT if recipient else Refusal.PERMANENT, words, reply.status)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
