"""What adapters share in reading what vendors say: their answers, and what they tell by webhooks. Nothing here raises
for what somebody else has written, however odd.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr, parsedate_to_datetime
from typing import Any, Final

from mailroom.domain.outcomes import Refusal, Refused
from mailroom.providers.connection import Reply

MAX_FIELD: Final = 998  # characters of an address or an id
_MOST_WORDS: Final = 500
_MOST_ID: Final = 200
# Seconds since 1970 that are no time of mail, but milliseconds are: from 1973 on.
_MILLISECONDS: Final = 1e11
_HALF: Final = re.compile("[\ud800-\udfff]")


def json_of(body: bytes | str) -> Any:
    """The document, or None for what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def storable(text: str) -> str:
    """Words of somebody else's, cut and made storable: JSON can hold half of a surrogate pair, BSON cannot."""
    return text[:_MOST_WORDS].encode("utf-8", "replace").decode()


def excerpt(body: bytes) -> str:
    """The beginning of an answer, for a person to read."""
    return body[:200].decode("utf-8", "replace")


def refused_by_number(reply: Reply, who: str, *, now: datetime | None = None) -> Refused | None:
    """The refusal of a 429 or a 413; None for every other answer. Their number alone says that nothing was done,
    whoever wrote the body, even a proxy on the way."""
    words = storable(f"{who} answered {reply.status}: {excerpt(reply.body)}")
    if reply.status == 429:
        wait = told_wait(reply, now or datetime.now(UTC))
        return Refused(Refusal.ACCOUNT, words, 429, wait, too_fast=True)
    if reply.status == 413:
        return Refused(Refusal.PERMANENT, words, 413)
    return None


def told_wait(reply: Reply, now: datetime) -> timedelta | None:
    """The wait that a header names, in seconds or by its end (RFC 9110 10.2.3); None where none does."""
    header, reset = reply.headers.get("retry-after", ""), reply.headers.get("x-ratelimit-reset", "")
    try:
        if header.isdigit():
            return timedelta(seconds=int(header))
        if header:
            return max(timedelta(), parsedate_to_datetime(header).astimezone(UTC) - now)
        if reset.isdigit():
            return max(timedelta(), datetime.fromtimestamp(int(reset), UTC) - now)
    except (ValueError, OverflowError, OSError, IndexError):
        pass  # what is no time
    return None


def moment(value: Any) -> datetime | None:
    """A time in seconds or milliseconds since 1970, cut to milliseconds; None for what is no time of mail."""
    try:
        told = float(value)
        found = datetime.fromtimestamp(told / 1000 if told >= _MILLISECONDS else told, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return found.replace(microsecond=found.microsecond // 1000 * 1000) if 2000 <= found.year <= 2200 else None


def id_of(kind: Any, value: Any) -> Any:
    """An id of ours that came back, of this kind; None for what cannot be one."""
    fits = isinstance(value, str) and 0 < len(value) <= _MOST_ID and not _HALF.search(value)
    return kind(value) if fits else None


def text_of(value: Any, most: int = MAX_FIELD) -> str:
    """The text, cut to `most` characters, with halves of surrogate pairs replaced; '' if the value is no text."""
    return _HALF.sub("\ufffd", value[:most]) if isinstance(value, str) else ""


def address_in(value: Any) -> str:
    """The bare address of `bo@example.org` or `Bo <bo@example.org>`; '' if the value is no text."""
    text = text_of(value).strip()
    return parseaddr(text)[1] if "<" in text else text


def digest_of(document: Any, *, without: str = "") -> str:
    """A digest of a document that does not depend on the order of its keys. `without`: a key to leave out."""
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key != without}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:40]
