"""Request bodies: JSON that can be stored, or a clear refusal. Looked at only after the caller is known.

A body is read once, here, up to its route's limit, whether it comes with a length or in chunks. Everything else takes
the document from `document()`.
"""

from collections.abc import Callable
from typing import Any, Final

from flask import abort, g, request
from marshmallow import missing
from werkzeug.exceptions import RequestEntityTooLarge

from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_VALUES
from scheduler_api.reading import Unreadable, read, weighs_more

Reader = Callable[[bytes], Any]
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
CSV: Final = "text/csv"
TAKE_CSV: Final = frozenset({"suppressions.add_file"})  # views that read a list as a file


def take_body(most: int = MAX_SMALL_BODY_BYTES, *, values: int = MAX_VALUES, reader: Reader = read) -> None:
    """Read the body of this request. Aborts with 413 for one that is larger than `most` bytes or holds more than
    `values` values, with 415 for one that is not said to be plain JSON, with 400 for one that is none."""
    g.document = missing
    if request.method in _WITHOUT_BODY:
        return
    raw = raw_body(most)
    if not raw:
        return
    if request.mimetype == CSV and request.endpoint in TAKE_CSV:
        return
    if not request.is_json:
        abort(415, description="Send the body as application/json.")
    if len(raw) > MAX_SMALL_BODY_BYTES and weighs_more(raw, values):
        abort(413, description=f"The body holds more than {values:,} values; send it in parts.")
    try:
        g.document = reader(raw)
    except Unreadable as error:
        abort(400, description=f"The body cannot be read as JSON: {error}.")


def raw_body(most: int) -> bytes:
    """The bytes as they came. Aborts with 413 if they are too many, with 415 if they are compressed."""
    packed = request.headers.get("Content-Encoding", "").strip().lower()
    if packed not in ("", "identity"):
        abort(415, description=f"Send the body as it is, without Content-Encoding: {packed[:50]}.")
    # One byte more: of a body in chunks Werkzeug reads that much, and does not say that there is more.
    request.max_content_length = most + 1
    raw: bytes = b""
    try:
        raw = request.get_data()
        whole = len(raw) <= most
    except RequestEntityTooLarge:
        whole = False
    if not whole:
        abort(413, description=f"The body of this request has at most {most:,} bytes.")
    g.raw_body = raw
    return raw


def document() -> Any:
    """The body as it was read; `missing` where there is none."""
    return g.get("document", missing)
