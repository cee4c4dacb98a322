"""Postmark's answers to a send, as our outcomes. Only well-formed answers of its own are believed.

Source: postmarkapp.com/developer/api/overview ("HTTP response codes", "API error codes") and
/developer/user-guide/send-email-with-api/batch-emails (read 2026-11); the texts of recipients' errors as
django-anymail's tests have them (anymail/django-anymail, 2026-07): 200 with `{"MessageID", "ErrorCode": 0, "Message"}`,
for a batch with a list of these in the order of its mails; else `{"ErrorCode", "Message"}`. A 5xx may have gone out: in
doubt.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.providers.batches import BatchReply
from mailroom.providers.connection import Reply
from mailroom.providers.pace import pause_for, says_too_fast
from mailroom.providers.parsing import address_in, excerpt, json_of, mapping, refused_by_number, storable, told_wait

_NOT_POSTMARKS: Final = {408, 499}
_ACCOUNT_STATUS: Final = {401, 403, 404, 405, 429}
# Codes of refusals; all others concern this mail.
_ACCOUNT: Final = {10, 405, 412, 413, 429}  # the token; no credits; the account is pending, or may not send; too fast
_FOR_NOW: Final = {100, 400, 401}  # maintenance; the sender's signature, which is tried elsewhere and delays no other
_INVALID, _INACTIVE = 300, 406
_STREAM: Final = re.compile(r"message ?stream", re.I)
_RECIPIENT: Final = re.compile(r"(invalid|error parsing) '(to|cc|bcc)'", re.I)
# The mail is accepted, but not for these addresses.
_PARTLY: Final = re.compile(r"will not deliver to", re.I)
_INACTIVE_ADDRESSES: Final = re.compile(r"inactive addresses:\s*(\S.*?)\.\s*Inactive recipients", re.I | re.S)


def read_reply(reply: Reply, *, now: datetime | None = None) -> Outcome:
    """The outcome by a whole answer of Postmark."""
    body = json_of(reply.body)
    doubt = InDoubt(f"Postmark answered {reply.status}: {excerpt(reply.body)}", reply.status)
    recipients = reply.recipients if isinstance(reply, BatchReply) else ()
    if reply.status == 200:
        return (_of_each(body, recipients) if recipients else _of_mail(body, 200)) or doubt
    if not 400 <= reply.status < 500 or reply.status in _NOT_POSTMARKS:
        return doubt
    refused = _of_mail(body, reply.status, told_wait(reply, now or datetime.now(UTC)))
    if isinstance(refused, Refused):
        return refused
    return refused_by_number(reply, "Postmark", now=now) or doubt


def _of_each(results: Any, recipients: Sequence[str]) -> Outcome | None:
    """The outcome by the results of a batch, in the order of its recipients; None unless each can be read."""
    if not isinstance(results, list) or len(results) != len(recipients):
        return None
    accepted: list[Accepted] = []
    refused: dict[str, Refused] = {}
    for recipient, result in zip(recipients, results, strict=True):
        outcome = _of_mail(result, 200)
        if isinstance(outcome, Accepted) and _is_for(recipient, result):
            accepted.append(outcome)
        elif isinstance(outcome, Refused):
            refused[recipient] = outcome
        else:
            return None
    if not refused:
        return accepted[0]
    first = next(iter(refused.values()))
    alike = not accepted and {(each.kind, each.code) for each in refused.values()} == {(first.kind, first.code)}
    # A cause that all share concerns the whole call. Otherwise each refused recipient goes on, or ends, by itself.
    if alike and (first.kind is not Refusal.RECIPIENT or len(recipients) == 1):
        return first
    return InPart(accepted[0].provider_id if accepted else "", refused)


def _of_mail(result: Any, status: int, wait: timedelta | None = None) -> Accepted | InPart | Refused | None:
    """The outcome for one mail; None if the result is not of Postmark's shape."""
    fields = mapping(result)
    # Of a mail that it accepts and delays, Postmark leaves the code out.
    code, words = fields.get("ErrorCode", 0), fields.get("Message")
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(words, str):
        return None
    if code:
        return _refused(code, words, status, wait)
    id_ = fields.get("MessageID")
    if status != 200 or not isinstance(id_, str) or not id_:
        return None
    if not _PARTLY.search(words):
        return Accepted(storable(id_))
    inactive = _INACTIVE_ADDRESSES.search(words)
    if inactive is None:
        return None
    why = Refused(Refusal.RECIPIENT, storable(f"Postmark does not deliver to this address: {words}"), _INACTIVE)
    return InPart(storable(id_), {address.strip(): why for address in inactive[1].split(",")})


def _refused(code: int, words: str, status: int, wait: timedelta | None) -> Refused:
    said = storable(f"Postmark answered {status}, error {code}: {words}")
    if code in _FOR_NOW:
        return Refused(Refusal.TEMPORARY, said, code)
    too_fast = status == 429 or code == 429 or (code not in (_INVALID, _INACTIVE) and says_too_fast(words))
    if too_fast or code in _ACCOUNT or status in _ACCOUNT_STATUS or _STREAM.search(words):
        wait = wait or (pause_for(words) if too_fast else None)
        return Refused(Refusal.ACCOUNT, said, code, wait, too_fast=too_fast)
    recipient = code == _INACTIVE or (code == _INVALID and _RECIPIENT.search(words))
    return Refused(Refusal.RECIPIENT if recipient else Refusal.PERMANENT, said, code)


def _is_for(recipient: str, result: Any) -> bool:
    """False if a result names another recipient than the one of its place."""
    named = mapping(result).get("To")
    return named is None or fold(address_in(named)) == fold(recipient)
