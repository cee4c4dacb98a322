"""Requests that were refused, as far as they may be kept: what a person needs to mend the caller, and no secrets."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mailroom.domain.errors import Fault

MAX_KEPT: Final = 4_000  # characters of a body
MAX_FAULTS: Final = 20
_MOST_TEXT: Final = 200  # characters of a value
_MOST_ITEMS: Final = 20  # of a list
_DEEPEST: Final = 8
# What a mail says, and what opens doors, is nobody's business here; to whom it was to go is what went wrong, mostly.
_SECRET: Final = re.compile(
    r"^(text|html|message|content|variables|headers|parts)$|token|secret|password|signature|authorization|api_?key",
    re.I,
)
_OUR_TOKENS: Final = re.compile(r"mr_[A-Za-z0-9_-]{8,}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused request. `body` is redacted and cut; '' where it was not read."""

    at: datetime
    method: str
    path: str
    status: int
    code: str
    detail: str
    faults: Sequence[Fault]
    who: str  # the name of the token that was presented; '' for none
    remote: str
    request_id: str
    size: int  # bytes of the body as it came
    body: str


def redacted(raw: bytes) -> str:
    """A body as it may be kept: JSON with its secrets and its long texts taken out, anything else by its beginning."""
    text = raw.decode("utf-8", "replace")
    try:
        shown = json.dumps(_without_secrets(json.loads(text), 0), ensure_ascii=False)
    except (ValueError, RecursionError):
        shown = text[:_MOST_TEXT]
    return _OUR_TOKENS.sub("mr_…", shown)[:MAX_KEPT].encode("utf-8", "replace").decode()


def _without_secrets(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        some = list(value.items())[: 5 * _MOST_ITEMS]
        return {key[:_MOST_TEXT]: _left_out(inner) if _SECRET.search(key) else _without_secrets(inner, depth + 1)
                for key, inner in some}  # fmt: skip
    if isinstance(value, list):
        kept = [_without_secrets(inner, depth + 1) for inner in value[:_MOST_ITEMS]]
        return [*kept, f"… {len(value) - _MOST_ITEMS} more"] if len(value) > _MOST_ITEMS else kept
    if isinstance(value, str) and len(value) > _MOST_TEXT:
        return f"{value[:_MOST_TEXT]}… {len(value) - _MOST_TEXT} more"
    return value


def _left_out(value: Any) -> str:
    return f"(left out: {len(value)} {'characters' if isinstance(value, str) else 'entries'})" if _sized(value) else "…"


def _sized(value: Any) -> bool:
    return isinstance(value, str | list | dict)
