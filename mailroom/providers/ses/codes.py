"""Amazon SES's answers to a send, as our outcomes. Only well-formed answers of its own are believed.

Source: docs.aws.amazon.com, "SendEmail" and "Common Error Types" of the SES v2 API, "Errors related to the sending
quotas" (read 2026-11): 200 with `{"MessageId"}`; else the error's type in the X-Amzn-ErrorType header or in `__type`,
and a message. A 5xx may have gone out: in doubt.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply
from mailroom.providers.pace import pause_for, says_too_fast
from mailroom.providers.parsing import excerpt, json_of, mapping, refused_by_number, storable, told_wait

# Refusals of this mail. All others concern the account, its key, its clock or its domain.
_THIS_MAIL: Final = {"MessageRejected", "MessageRejectedException", "BadRequestException", "ValidationException"}
_UNVERIFIED: Final = re.compile(r"email address(es)? (is|are) not verified", re.I)
_RECIPIENT: Final = re.compile(
    r"illegal address|missing (final|local|domain)|invalid .*(domain|address|recipient)", re.I
)
_TOO_FAST: Final = {"TooManyRequestsException", "ThrottlingException", "Throttling"}
_NOT_SES: Final = {408, 499}


def read_reply(reply: Reply, *, now: datetime | None = None) -> Outcome:
    """The outcome by a whole answer of SES."""
    body = mapping(json_of(reply.body))
    if reply.status == 200:
        id_ = body.get("MessageId")
        if isinstance(id_, str) and id_:
            return Accepted(storable(id_), code=reply.status)
        return InDoubt(f"SES answered 200 without an id: {excerpt(reply.body)}", 200)
    kind = _error_type(reply, body)
    if kind is None and (refused := refused_by_number(reply, "SES", now=now)):
        return refused
    if kind is None or not 400 <= reply.status < 500 or reply.status in _NOT_SES:
        return InDoubt(f"SES answered {reply.status}: {excerpt(reply.body)}", reply.status)
    message = str(body.get("message") or body.get("Message") or "")
    words = storable(f"SES answered {reply.status} {kind}: {message}")
    if _UNVERIFIED.search(message):
        # About this mail's sender or the whole account: tried again, perhaps elsewhere, and no other mail waits.
        return Refused(Refusal.TEMPORARY, words, reply.status)
    if kind not in _THIS_MAIL:
        too_fast = reply.status == 429 or kind in _TOO_FAST or says_too_fast(message)
        wait = told_wait(reply, now or datetime.now(UTC)) or (pause_for(message) if too_fast else None)
        return Refused(Refusal.ACCOUNT, words, reply.status, wait, too_fast=too_fast)
    recipient = kind != "MessageRejected" and _RECIPIENT.search(message)
    return Refused(Refusal.RECIPIENT if recipient else Refusal.PERMANENT, words, reply.status)


def _error_type(reply: Reply, body: Any) -> str | None:
    """`MessageRejected` of `MessageRejected:http://internal.amazon.com/` or `com.amazon#MessageRejected`."""
    type_ = reply.headers.get("x-amzn-errortype") or body.get("__type")
    if not isinstance(type_, str):
        return None
    name = type_.partition(":")[0].rpartition("#")[2].strip()
    return name if re.fullmatch(r"[A-Za-z]{1,100}", name) else None
