"""Idempotency: a key names the id of what its request makes, so the thing is made once.

The same request again gets the answer of the first one. Another request with the same key is a conflict.
"""

import hashlib
import json
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING

from mailroom.domain.errors import Fault, IdempotencyMismatch, InvalidInput
from mailroom.domain.limits import MAX_IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def check_key(key: str | None) -> None:
    """Raises InvalidInput unless the Idempotency-Key has a valid form; None is valid."""
    if key is not None and not (0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isascii() and key.isprintable()):
        raise InvalidInput(Fault("Idempotency-Key", f"1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters"))


def digest_of_request(draft: "DataclassInstance") -> str:
    """The SHA-256 of a draft's fields (a dataclass), in hexadecimal: equal drafts have equal digests.

    Fields whose metadata has `compared` False are excluded, and those with "if given" while they have their default:
    they are newer than stored digests. `digest_of_none` is what None counts as, where stored digests have that."""
    compared = {field.name: _counted(field, draft) for field in fields(draft) if _is_compared(field, draft)}
    return hashlib.sha256(json.dumps(compared, sort_keys=True, default=str).encode()).hexdigest()


def conflict(earlier: str, now: str) -> IdempotencyMismatch | None:
    """The conflict of a key's request with its earlier one, by their digests; None if they are the same request."""
    if earlier == now:
        return None
    return IdempotencyMismatch("this Idempotency-Key was used with another body")


def check_repeated(earlier: str, now: str) -> None:
    """Raises IdempotencyMismatch unless the digests of a key's earlier request and of this one are equal."""
    if error := conflict(earlier, now):
        raise error


def _is_compared(field: Field[object], draft: "DataclassInstance") -> bool:
    compared = field.metadata.get("compared", True)
    return bool(compared) and (compared is True or getattr(draft, field.name) != _default(field))


def _counted(field: Field[object], draft: "DataclassInstance") -> object:
    value = getattr(draft, field.name)
    return field.metadata.get("digest_of_none") if value is None else value


def _default(field: Field[object]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
