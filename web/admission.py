"""How large a form may be: 64 kB; an upload as large as a list, once somebody is signed in."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, request

from mailroom.domain.errors import MailroomError
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_SMALL_BODY_BYTES
from web.session import caller

_MAX_PARTS: Final = 200  # of an upload


def install(app: Flask) -> None:
    """Bound every form before anything reads it, and tell the server how much of a body to take."""
    app.config.update(MAX_CONTENT_LENGTH=MAX_SMALL_BODY_BYTES, MAX_FORM_PARTS=_MAX_PARTS)
    app.before_request(bound)
    app.extensions["admit"] = _admission(app)


def bound() -> None:
    most = _most()
    request.max_content_length = request.max_form_memory_size = most


def _admission(app: Flask) -> Callable[[dict[str, Any]], int]:
    def admit(environ: dict[str, Any]) -> int:
        with app.request_context(environ):
            return _most()

    return admit


def _most() -> int:
    """Looked up only where it matters: most forms are no uploads."""
    if request.mimetype != "multipart/form-data":
        return MAX_SMALL_BODY_BYTES
    try:
        caller()
    except MailroomError:
        return MAX_SMALL_BODY_BYTES
    return MAX_BODY_BYTES
