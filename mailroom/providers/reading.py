"""What adapters share in reading what vendors say: their answers, and what they tell by webhooks. Nothing here raises
for what somebody else has written, however odd.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from mailroom.providers.connection import Reply

MAX_FIELD: Final = 998  # characters of an address or an id
_MOST_WORDS: Final = 500
_MOST_ID: Final = 200
# Policy, full mailbox, size, content and sender: nothing that the address itself is to blame for (RFC 3463).
NOT_THE_ADDRESS: Final = ("5.7.", "5.2.2", "5.2.3", "5.3.4", "5.6.", "5.1.7", "5.1.8", "5.4.7", "4.")


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
    """A time in seconds since 1970, cut to milliseconds; None for what is no time of mail."""
    try:
        found = datetime.fromtimestamp(float(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return found.replace(microsecond=found.microsecond // 1000 * 1000) if 2000 <= found.year <= 2200 else None


def id_of(kind: Any, value: Any) -> Any:
    """An id of ours that came back, of this kind; None for what cannot be one."""
    return kind(value) if isinstance(value, str) and 0 < len(value) <= _MOST_ID else None
