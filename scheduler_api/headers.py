"""The headers `Idempotency-Key`, and `If-Match` with its `ETag`."""

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
SEEN: Final[dict[str, Any]] = {"in": "header", "name": "If-Match", "schema": {"type": "string"}}


def given_key() -> str | None:
    return request.headers.get("Idempotency-Key")


def needed_key() -> str:
    """Raises InvalidInput where there is none: what is asked for twice must be one thing."""
    key = given_key()
    if not key:
        raise InvalidInput(Fault("Idempotency-Key", "this header is needed: what is asked for twice must be one thing"))
    return key


def etag(version: int) -> str:
    return f'"v{version}"'


def seen_version() -> int | None:
    """The version that the caller saw, from If-Match; None without one. Raises InvalidInput."""
    given = request.headers.get("If-Match", "").strip()
    if not given or given == "*":
        return None
    digits = given.removeprefix("W/").strip('"').removeprefix("v")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15):
        raise InvalidInput(Fault("If-Match", "is not an ETag that was given out"))
    return int(digits)
