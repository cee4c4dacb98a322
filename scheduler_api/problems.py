"""Every error has the same body: RFC 9457 problem details, with a path for each wrong field.

`STATUS` maps each class of Mailroom's errors to a status, a stable code and a title.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import structlog
from flask import Flask, Response, g, json, request
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException

from mailroom.domain.errors import (
    AccessRefused,
    Conflict,
    Fault,
    IdempotencyMismatch,
    InvalidInput,
    MailroomError,
    NotFound,
    NotTheOwner,
    ScheduleNotArchived,
    SchedulePaused,
    ScopeMissing,
    SendersTooOld,
    SendingStopped,
    StaleEdit,
    TooMany,
    Unavailable,
)

log = structlog.get_logger()

# Subclasses before their bases: the first match decides. Class, status, stable code, title.
STATUS: Final[Sequence[tuple[type[MailroomError], int, str, str]]] = (
    (InvalidInput, 422, "invalid_input", "Some fields are wrong"),
    (IdempotencyMismatch, 422, "idempotency_mismatch", "This Idempotency-Key was used with another body"),
    (NotFound, 404, "not_found", "There is no such thing"),
    (StaleEdit, 412, "stale_edit", "It was changed since you read it"),
    (SchedulePaused, 409, "schedule_paused", "This schedule is paused"),
    (ScheduleNotArchived, 409, "schedule_not_archived", "This schedule is not archived"),
    (SendersTooOld, 409, "senders_too_old", "Processes of an earlier version still run"),
    (SendingStopped, 409, "sending_stopped", "All sending is stopped"),
    (Conflict, 409, "conflict", "Its state does not allow this"),
    (ScopeMissing, 403, "scope_missing", "The token does not allow this"),
    (NotTheOwner, 403, "not_the_owner", "This belongs to another token"),
    (AccessRefused, 401, "access_refused", "A valid token is needed"),
    (TooMany, 429, "too_many_requests", "This was asked for too often; try again later"),
    (Unavailable, 503, "unavailable", "A server that is needed is away; try again"),
)


# Errors that HTTP itself knows: stable code, status, title.
FROM_HTTP: Final = (
    ("bad_request", 400, "The request cannot be read"),
    ("method_not_allowed", 405, "This path does not take this method"),
    ("too_slow", 408, "The request did not come in its time"),
    ("too_large", 413, "The body is too large"),
    ("path_too_long", 414, "The path with its query is too long"),
    ("not_json", 415, "Another content type is needed"),
    ("headers_too_large", 431, "The headers are too large"),
    ("not_supported", 501, "This way to send a request is not supported"),
    ("version_not_supported", 505, "This version of HTTP is not supported"),
)
# Titles of refused webhooks, and of errors without a rule of their own.
_OTHER_TITLES: Final = {
    "bad_signature": "The signature does not fit",
    "stale": "The signature is too old",
    "malformed": "This is no event of the provider",
    "replayed": "This token came with another event",
    "not_set_up": "This provider is not set up",
    "http_error": "The request was refused",
    "internal": "Something went wrong here",
}
PROBLEM: Final = "application/problem+json"
_CODES: Final = {status: code for code, status, _ in FROM_HTTP} | {
    404: "not_found",
    422: "invalid_input",
    503: "unavailable",
}
# One title for each code, so that a problem's `type` means one thing.
TITLES: Final = (
    {code: title for _, _, code, title in STATUS} | {code: title for code, _, title in FROM_HTTP} | _OTHER_TITLES
)


class FaultOut(Schema):
    path = fields.String()
    message = fields.String()


class Problem(Schema):
    """RFC 9457 problem details, served as application/problem+json."""

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    code = fields.String()
    detail = fields.String()
    request_id = fields.String()
    errors = fields.List(fields.Nested(FaultOut))


def problem(status: int, code: str, detail: str = "", faults: Sequence[Fault] = (), **headers: str) -> Response:
    """A problem details response (RFC 9457). The code decides the title."""
    response = Response(json.dumps(_body(status, code, detail, faults)), status, mimetype=PROBLEM)
    response.headers.update(headers)
    return response


def problem_body(error: MailroomError) -> dict[str, Any]:
    """Problem details as one answer of a batch. Raises `error` itself if `STATUS` does not list it."""
    for kind, status, code, _ in STATUS:
        if isinstance(error, kind):
            faults = error.faults if isinstance(error, InvalidInput) else ()
            return _body(status, code, "" if faults else str(error), faults)
    raise error


def faults_of(messages: Any) -> list[Fault]:
    """Marshmallow's messages as faults, each with the path of its field."""
    return list(_flatten(messages))


def _body(status: int, code: str, detail: str, faults: Sequence[Fault]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"/docs#problem-{code}",
        "title": TITLES[code],
        "status": status,
        "code": code,
        "request_id": g.get("request_id", "") if g else "",  # a command's has none
    }
    if detail:
        body["detail"] = detail
    if faults:
        body["errors"] = [{"path": fault.path, "message": fault.message} for fault in faults]
    return body


def install(app: Flask) -> None:
    """Answer every error with problem details."""
    app.register_error_handler(MailroomError, from_refusal)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(Exception, _unexpected)


def from_refusal(error: MailroomError) -> Response:
    """Answer an error of ours, as `STATUS` has it."""
    for kind, status, code, _ in STATUS:
        if isinstance(error, kind):
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            if isinstance(error, TooMany):
                headers["Retry-After"] = str(error.retry_after_s)
            if status == 503:
                headers["Retry-After"] = "5"
                log.warning("request_refused", code=code, error=str(error))
                return problem(status, code, "", (), **headers)
            faults = error.faults if isinstance(error, InvalidInput) else ()
            return problem(status, code, "" if faults else str(error), faults, **headers)
    return _unexpected(error)


def from_http(error: HTTPException) -> Response:
    """Answer an error of Flask or webargs, such as an unknown path, a wrong method or a body that is too large."""
    status = error.code or 500
    messages = getattr(error, "data", {}).get("messages") if hasattr(error, "data") else None
    faults = list(_flatten(without_location(messages))) if messages else ()
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    code = _CODES.get(status, "http_error" if status < 500 else "internal")
    return problem(status, code, "" if faults else error.description or "", faults, **headers)


def _too_deep(_: RecursionError) -> Response:
    """Python's JSON reader gives up on a body that is nested thousands deep."""
    return problem(400, "bad_request", "The body is nested too deep.")


def _unexpected(error: Exception) -> Response:
    """A bug: the caller gets the request's id, the log gets the traceback."""
    log.error("request_failed", method=request.method, path=request.path, exc_info=error)
    return problem(500, "internal", "Tell us the request id.")


def without_location(messages: Any) -> Any:
    """The messages themselves. webargs nests them under the part of the request: json, query or headers."""
    if isinstance(messages, Mapping) and len(messages) == 1 and next(iter(messages)) in ("json", "query", "headers"):
        return next(iter(messages.values()))
    return messages


def _flatten(messages: Any, path: str = "") -> Iterator[Fault]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            step = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
            yield from _flatten(
                inner, "" if key == "_schema" and not path else path + ("" if key == "_schema" else step)
            )
    elif isinstance(messages, list):
        for message in messages:
            yield from _flatten(message, path)
    else:
        yield Fault(path or "body", str(messages))
