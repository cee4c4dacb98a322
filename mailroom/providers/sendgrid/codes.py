"""SendGrid's answers to a send, in our words. Only its own well-formed words are believed.

Source: docs.sendgrid.com, "Errors" (read 2026-11): 202 with an X-Message-Id and no body; else `{"errors": [{"message",
"field"}]}`. A 5xx may have gone out: in doubt.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.domain.outcomes import Accepted, InDoubt, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply

_ACCOUNT: Final = {401, 403, 404, 405, 429}
_NOT_SENDGRIDS: Final = {408, 499}
_RECIPIENT_FIELD: Final = re.compile(r"personalizations\.\d+\.(to|cc|bcc)\b")
_ACCOUNT_TEXT: Final = re.compile(r"verified Sender Identity|maximum credits exceeded|not authorized", re.I)
_MOST_WORDS: Final = 500


def read_reply(reply: Reply, *, now: datetime | None = None) -> Outcome:
    """What a whole answer of SendGrid means."""
    if reply.status in (200, 202):
        if id_ := reply.headers.get("x-message-id", ""):
            return Accepted(id_[:_MOST_WORDS])
        return InDoubt(f"SendGrid answered {reply.status} without an id", reply.status)
    errors = _errors(reply.body)
    if errors is None or not 400 <= reply.status < 500 or reply.status in _NOT_SENDGRIDS:
        return InDoubt(f"SendGrid answered {reply.status}: {_excerpt(reply.body)}", reply.status)
    words = f"SendGrid answered {reply.status}: {'; '.join(_word(error) for error in errors)}"[:_MOST_WORDS]
    if reply.status in _ACCOUNT or any(_ACCOUNT_TEXT.search(_word(error)) for error in errors):
        return Refused(Refusal.ACCOUNT, words, reply.status, _retry_after(reply, now or datetime.now(UTC)))
    recipient = any(_RECIPIENT_FIELD.search(str(error.get("field") or "")) for error in errors)
    return Refused(Refusal.RECIPIENT if recipient else Refusal.PERMANENT, words, reply.status)


def _errors(body: bytes) -> list[dict[str, Any]] | None:
    try:
        errors = json.loads(body)["errors"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    if not isinstance(errors, list) or not errors or not all(isinstance(error, dict) for error in errors):
        return None
    return errors


def _word(error: dict[str, Any]) -> str:
    return str(error.get("message") or "").encode("utf-8", "replace").decode()


def _retry_after(reply: Reply, now: datetime) -> timedelta | None:
    header, reset = reply.headers.get("retry-after", ""), reply.headers.get("x-ratelimit-reset", "")
    try:
        if header.isdigit():
            return timedelta(seconds=int(header))
        if reset.isdigit():
            return max(timedelta(), datetime.fromtimestamp(int(reset), UTC) - now)
    except (ValueError, OverflowError, OSError):
        pass  # a number that is no time
    return None


def _excerpt(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")
