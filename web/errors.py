"""Errors as pages."""

import structlog
from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from mailroom.domain.errors import InvalidInput, NotFound, NotTheOwner, ScopeMissing, TooMany, Unavailable
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_SMALL_BODY_BYTES
from web.words import sentence

log = structlog.get_logger()


def install(app: Flask) -> None:
    """Answer every error with a page that says what happened, and what to do."""
    app.register_error_handler(NotFound, lambda error: _page(404, "Not found", sentence(str(error))))
    app.register_error_handler(ScopeMissing, lambda error: _page(403, "Not allowed", sentence(str(error))))
    app.register_error_handler(NotTheOwner, lambda error: _page(403, "Not allowed", sentence(str(error))))
    app.register_error_handler(InvalidInput, lambda error: _page(422, "Invalid request", str(error)))
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(TooMany, _too_many)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _page(status: int, title: str, words: str) -> tuple[str, int]:
    return render_template("message.html", title=title, words=words), status


def _http_error(error: HTTPException) -> ResponseReturnValue:
    return _page(error.code or 500, error.name, error.description or "")


def _unavailable(error: Unavailable) -> ResponseReturnValue:
    log.warning("page_refused", error=str(error))
    words = "The database did not answer. Nothing is lost; try again in a moment."
    return _page(503, "Temporarily unavailable", words)


def _too_many(error: TooMany) -> ResponseReturnValue:
    wait = str(error.retry_after_s)
    page = _page(429, "Too many requests", f"{sentence(str(error))} Try again in {wait} seconds.")
    return (*page, {"Retry-After": wait})


def _too_large(_: RequestEntityTooLarge) -> ResponseReturnValue:
    words = f"A form may have {MAX_SMALL_BODY_BYTES:,} bytes; with a list, {MAX_BODY_BYTES:,} once you are signed in."
    return _page(413, "This is too large", words)


def _unexpected(error: Exception) -> ResponseReturnValue:
    log.error("page_failed", exc_info=error)
    return _page(500, "Something went wrong", "The error was logged. Nothing that was saved before is lost.")
