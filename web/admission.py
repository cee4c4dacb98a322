"""The largest forms: 64 kB, and for an upload by somebody who is signed in as much as a list."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from flask import Flask, abort, request

from mailroom.domain.errors import MailroomError
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_SMALL_BODY_BYTES
from web.session import caller

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_MAX_PARTS: Final = 200  # of an upload
_MAX_HEAD: Final = 8 * 1024  # bytes of a part's head


def install(app: Flask) -> None:
    """Bound every form before anything reads it, and tell the server how much of a body to take."""
    app.config.update(MAX_CONTENT_LENGTH=MAX_SMALL_BODY_BYTES, MAX_FORM_PARTS=_MAX_PARTS)
    app.before_request(bound)
    app.extensions["admit"] = _admission(app)


def bound() -> None:
    most = _most()
    request.max_content_length = request.max_form_memory_size = most
    if most > MAX_SMALL_BODY_BYTES and not _has_small_heads(request.get_data(), request.mimetype_params):
        abort(400, description="This upload is not one that a browser sends.")


def _has_small_heads(raw: bytes, about: Mapping[str, str]) -> bool:
    """True if an upload begins with a part and each part's head ends soon: Werkzeug takes minutes for long heads."""
    mark = b"--" + about.get("boundary", "").encode("latin-1", "replace")
    at = raw.find(mark, 0, len(mark) + 2)
    for _ in range(_MAX_PARTS + 1):
        if at < 0:
            return False
        after = at + len(mark)
        if raw.startswith(b"--", after):
            return True
        if all(raw.find(end, after, after + _MAX_HEAD) < 0 for end in (b"\r\n\r\n", b"\n\n", b"\r\r")):
            return False
        at = raw.find(mark, after)
    return False


def _admission(app: Flask) -> Callable[["WSGIEnvironment"], int]:
    def admit(environ: "WSGIEnvironment") -> int:
        with app.request_context(environ):
            return _most()

    return admit


def _most() -> int:
    """The most bytes of this form. The caller is looked up only for uploads, and most forms are none."""
    if request.mimetype != "multipart/form-data":
        return MAX_SMALL_BODY_BYTES
    try:
        caller()
    except MailroomError:
        return MAX_SMALL_BODY_BYTES
    return MAX_BODY_BYTES
