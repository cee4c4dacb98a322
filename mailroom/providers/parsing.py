"""Shared functions for reading answers and webhooks of vendors. None of them raises, however odd the input is."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr, parsedate_to_datetime
from typing import Any, Final

from mailroom.domain.dispatches.outcomes import Refusal, Refused
from mailroom.providers.connection import Reply

MAX_FIELD: Final = 998  # characters of an address or an id
_MOST_WORDS: Final = 500
_MOST_ID: Final = 200
# From this number on a time is in milliseconds since 1970 (from 1973 on): as seconds it would be in the year 5138.
_MILLISECONDS: Final = 1e11
_HALF: Final = re.compile("[\ud800-\udfff]")


def json_of(body: bytes | str) -> Any:
    """The document, or None for what is no JSON. Python's reader, because orjson refuses more: a provider's yes must
    not become a doubt over half of a surrogate pair beside it."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def without_halves(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair: JSON can hold half of a pair, BSON cannot."""
    return _HALF.sub("\ufffd", text)


def storable(text: str) -> str:
    """A vendor's words, cut to a length and made storable."""
    return without_halves(text[:_MOST_WORDS])


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
    """The wait that a header names, in seconds or by its end (RFC 9110 10.2.3); None without such a header."""
    header, reset = reply.headers.get("retry-after", ""), reply.headers.get("x-ratelimit-reset", "")
    try:
        if header.isdigit():
            return timedelta(seconds=int(header))
        if header:
            return max(timedelta(), parsedate_to_datetime(header).astimezone(UTC) - now)
        if reset.isdigit():
            return max(timedelta(), datetime.fromtimestamp(int(reset), UTC) - now)
    except (ValueError, OverflowError, OSError, IndexError):
        pass  # not a time
    return None


def moment(value: Any) -> datetime | None:
    """A time in seconds or milliseconds since 1970, cut to milliseconds; None if it is no time of 2000 to 2200."""
    try:
        seconds = float(value)
        at = datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS else seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return _in_milliseconds(at)


def iso_moment(value: Any) -> datetime | None:
    """A time in ISO 8601 with its offset, cut to milliseconds; None if it is no such time of 2000 to 2200."""
    try:
        at = datetime.fromisoformat(value)
        return _in_milliseconds(at.astimezone(UTC)) if at.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def _in_milliseconds(at: datetime) -> datetime | None:
    return at.replace(microsecond=at.microsecond // 1000 * 1000) if 2000 <= at.year <= 2200 else None


def id_of(kind: Any, value: Any) -> Any:
    """An id of ours that a vendor sent back, as `kind`; None if it cannot be an id."""
    fits = isinstance(value, str) and 0 < len(value) <= _MOST_ID and value == without_halves(value)
    return kind(value) if fits else None


def text_of(value: Any, most: int = MAX_FIELD) -> str:
    """The text, cut to `most` characters, with halves of surrogate pairs replaced; '' if the value is no text."""
    return without_halves(value[:most]) if isinstance(value, str) else ""


def address_in(value: Any) -> str:
    """The bare address of `bo@example.org` or `Bo <bo@example.org>`; '' if the value is no text."""
    text = text_of(value).strip()
    return parseaddr(text)[1] if "<" in text else text


def digest_of(document: Any, *, without: str = "") -> str:
    """A digest of a document that does not depend on the order of its keys. `without`: a key to leave out.

    Digests are stored and compared: the bytes that Python's writer makes must stay the same.
    """
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key != without}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:40]
