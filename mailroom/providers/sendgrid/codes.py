"""SendGrid's answers to a send, as our outcomes. Only well-formed answers of its own are believed.

Source: docs.sendgrid.com, "Errors" (read 2026-11): 202 with an X-Message-Id and no body; else `{"errors": [{"message",
"field"}]}`. A 5xx may have gone out: in doubt.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply
from mailroom.providers.pace import says_too_fast
from mailroom.providers.parsing import excerpt, json_of, mapping, refused_by_number, storable, told_wait

_ACCOUNT: Final = {401, 403, 404, 405, 429}
_NOT_SENDGRIDS: Final = {408, 499}
_RECIPIENT_FIELD: Final = re.compile(r"personalizations\.\d+\.(to|cc|bcc)\b")
_ACCOUNT_TEXT: Final = re.compile(r"maximum credits exceeded|not authorized", re.I)
_UNVERIFIED: Final = re.compile(r"verified Sender Identity", re.I)


def read_reply(reply: Reply, *, now: datetime | None = None) -> Outcome:
    """The outcome by a whole answer of SendGrid."""
    if reply.status in (200, 202):
        if id_ := reply.headers.get("x-message-id", ""):
            return Accepted(storable(id_), code=reply.status)
        return InDoubt(f"SendGrid answered {reply.status} without an id", reply.status)
    errors = _errors(reply.body)
    if errors is None and (refused := refused_by_number(reply, "SendGrid", now=now)):
        return refused
    if errors is None or not 400 <= reply.status < 500 or reply.status in _NOT_SENDGRIDS:
        return InDoubt(f"SendGrid answered {reply.status}: {excerpt(reply.body)}", reply.status)
    words = storable(f"SendGrid answered {reply.status}: {'; '.join(_word(error) for error in errors)}")
    if any(_UNVERIFIED.search(_word(error)) for error in errors):
        # About this mail's sender or the whole account: tried again, perhaps elsewhere, and no other mail waits.
        return Refused(Refusal.TEMPORARY, words, reply.status)
    too_fast = reply.status == 429 or says_too_fast(words)
    if too_fast or reply.status in _ACCOUNT or any(_ACCOUNT_TEXT.search(_word(error)) for error in errors):
        wait = told_wait(reply, now or datetime.now(UTC))
        return Refused(Refusal.ACCOUNT, words, reply.status, wait, too_fast=too_fast)
    recipient = any(_RECIPIENT_FIELD.search(str(error.get("field") or "")) for error in errors)
    return Refused(Refusal.RECIPIENT if recipient else Refusal.PERMANENT, words, reply.status)


def _errors(body: bytes) -> list[dict[str, Any]] | None:
    errors = mapping(json_of(body)).get("errors")
    if not isinstance(errors, list) or not errors or not all(isinstance(error, dict) for error in errors):
        return None
    return errors


def _word(error: dict[str, Any]) -> str:
    return str(error.get("message") or "")
