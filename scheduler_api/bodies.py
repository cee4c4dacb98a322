"""Read request bodies: the result is JSON that can be stored, or a refusal with its reason.

A body is read once, after the caller is known, up to the limit of its route, with a length or in chunks. All other code
takes the result from `document()`.
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
#: Endpoints that take a list as a file.
TAKE_CSV: Final = frozenset({"suppressions.add_file", "audience_contacts.add_file"})


def take_body(most: int = MAX_SMALL_BODY_BYTES, *, values: int = MAX_VALUES, reader: Reader = read) -> None:
    """Read the body of this request. Aborts with 413 if it has more than `most` bytes or `values` values, with 415 if
    its content type is not JSON (of a file: not CSV), with 400 if it is not JSON."""
    g.document = missing
    if request.method in _WITHOUT_BODY:
        return
    raw = raw_body(most)
    if not raw:
        return
    if request.endpoint in TAKE_CSV:
        if request.mimetype != CSV:
            abort(415, description=f"Send the file as {CSV}.")
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
    """The body in bytes. Aborts with 413 if it has more than `most`, with 415 if it is compressed."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        abort(415, description=f"Send the body as it is, without Content-Encoding: {encoding[:50]}.")
    # One byte more: Werkzeug cuts a body in chunks at this length without an error.
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
    """The body as JSON values; `missing` if the request has none."""
    return g.get("document", missing)
