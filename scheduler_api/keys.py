"""The `Idempotency-Key` header: where it may be given, and where it must be."""

from typing import Any, Final

from flask import request

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_IDEMPOTENCY_KEY

KEY: Final[dict[str, Any]] = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY},
}
KEY_NEEDED: Final = {**KEY, "required": True}


def given_key() -> str | None:
    return request.headers.get("Idempotency-Key")


def needed_key() -> str:
    """Raises InvalidInput where there is none: what is asked for twice must be one thing."""
    key = given_key()
    if not key:
        raise InvalidInput(Fault("Idempotency-Key", "this header is needed: a run asked for twice must be one run"))
    return key
