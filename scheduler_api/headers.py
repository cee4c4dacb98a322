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
# Key in the environ: names of headers that came more than once. WSGI alone would hide that: it joins their values.
REPEATED: Final = "mailroom.repeated_headers"
_WORDS: Final = f"1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters"


def faults(*, needs_key: bool) -> list[Fault]:
    """Faults in the headers that Mailroom reads."""
    mistakes = []
    key, seen = request.headers.get("Idempotency-Key"), request.headers.get("If-Match", "")
    repeated = request.environ.get(REPEATED, ())
    if "Idempotency-Key" in repeated:
        mistakes.append(Fault("Idempotency-Key", "this header is given more than once"))
    elif key is None:
        if needs_key:
            mistakes.append(_needed())
    elif not (len(key.strip()) > 0 and len(key) <= MAX_IDEMPOTENCY_KEY and key.isascii() and key.isprintable()):
        mistakes.append(_needed() if needs_key and not key else Fault("Idempotency-Key", _WORDS))
    if "If-Match" in repeated or (_is_given(seen) and _version(seen) is None):
        mistakes.append(Fault("If-Match", "is not an ETag that was given out"))
    return mistakes


def given_key() -> str | None:
    return request.headers.get("Idempotency-Key")


def needed_key() -> str:
    """The Idempotency-Key. Raises InvalidInput if there is none: a repeated request must not be done twice."""
    key = given_key()
    if not key:
        raise InvalidInput(_needed())
    return key


def etag(version: int) -> str:
    return f'"v{version}"'


def seen_version() -> int | None:
    """The version that the caller saw, from If-Match; None without one. Raises InvalidInput."""
    given = request.headers.get("If-Match", "")
    if not _is_given(given):
        return None
    version = _version(given)
    if version is None:
        raise InvalidInput(Fault("If-Match", "is not an ETag that was given out"))
    return version


def _is_given(seen: str) -> bool:
    return seen.strip() not in ("", "*")


def _version(seen: str) -> int | None:
    digits = seen.strip().removeprefix("W/").strip('"').removeprefix("v")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 15 else None


def _needed() -> Fault:
    return Fault("Idempotency-Key", "this header is needed: what is asked for twice must be one thing")
