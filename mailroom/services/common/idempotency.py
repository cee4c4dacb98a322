"""The same thing asked twice: keys that may be given, and what tells one request from another."""

import hashlib
import json
from typing import Any

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_IDEMPOTENCY_KEY


def check_key(key: str | None) -> None:
    """Raises InvalidInput for an Idempotency-Key that cannot be one."""
    if key is not None and not (0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isascii() and key.isprintable()):
        raise InvalidInput(Fault("Idempotency-Key", f"1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters"))


def digest_of_request(draft: Any) -> str:
    """The digest of a draft (a dataclass): equal fields have equal digests. Fields whose metadata have `compared` False
    are left out: they are newer than digests that are stored."""
    known = draft.__dataclass_fields__.items()
    fields = {name: getattr(draft, name) for name, field in known if field.metadata.get("compared", True)}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()
