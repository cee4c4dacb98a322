"""Rejected requests, redacted: the facts that a person needs to fix the caller, and no secrets."""

import json
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
# Fields whose values are stored: recipients, times and kinds. Of other fields only the name and the size are stored,
# because they may hold mail content or credentials.
_KEPT: Final = frozenset(
    [
        *("from", "to", "cc", "bcc", "reply_to", "address", "recipient", "priority", "send_at", "tags", "template"),
        *("filename", "content_type", "name", "kind", "expression", "time_zone", "at", "seconds", "starts_at"),
        *("ends_at", "max_runs", "policy", "grace_s", "order", "enabled", "mails", "per", "warm_up", "provider"),
        *("verdict", "ids", "all", "run_id", "scopes", "expires_at", "event", "id", "timestamp", "severity"),
    ]
)
# Objects that may contain these fields; in other objects, such as variables, the caller chooses the names.
_OPENED: Final = frozenset(["recurrence", "misfire", "recipients", "attachments", "emails", "event-data", "signature"])


@dataclass(frozen=True, slots=True)
class RejectedRequest:
    """A rejected request. `body` is redacted and cut; '' if it was not read."""

    at: datetime
    method: str
    path: str
    status: int
    code: str
    detail: str
    faults: Sequence[Fault]
    who: str  # the name of the presented token; '' without a token
    remote: str
    request_id: str
    size: int  # bytes of the received body
    body: str


def redacted(raw: bytes) -> str:
    """A body in the form to store: its shape, and the values that are known to be harmless. For a body that is not
    JSON, only its size."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return f"(no JSON: {len(raw):,} bytes)"
    shown = json.dumps(_shape(document, 0, opened=True, kept=False), ensure_ascii=False)
    return shown[:MAX_KEPT].encode("utf-8", "replace").decode()


def _shape(value: Any, depth: int, *, opened: bool, kept: bool) -> Any:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        items = list(value.items())[: 5 * _MOST_ITEMS]
        return {key[:_MOST_TEXT]: _inner(key, inner, depth + 1, opened=opened) for key, inner in items}
    if isinstance(value, list):
        shapes = [_shape(inner, depth + 1, opened=opened, kept=kept) for inner in value[:_MOST_ITEMS]]
        return [*shapes, f"… {len(value) - _MOST_ITEMS} more"] if len(value) > _MOST_ITEMS else shapes
    if isinstance(value, str):
        return value[:_MOST_TEXT] if kept else f"(left out: {len(value)} characters)"
    return value if kept or value is None or isinstance(value, bool) else "(left out)"


def _inner(key: str, value: Any, depth: int, *, opened: bool) -> Any:
    if not opened:
        return _shape(value, depth, opened=False, kept=False)
    return _shape(value, depth, opened=key.lower() in _OPENED, kept=key.lower() in _KEPT)
