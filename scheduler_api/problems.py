"""One error body everywhere: RFC 9457 problem details, with a path for each wrong field.

`STATUS` is the whole mapping from what Mailroom refuses to what HTTP calls it.
"""

import secrets
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
    SchedulePaused,
    ScopeMissing,
    SendingStopped,
    StaleEdit,
    TooMany,
    Unavailable,
)

log = structlog.get_logger()

# Most special first: the first class that fits decides. Class -> status, stable code, title.
STATUS: Final[Sequence[tuple[type[MailroomError], int, str, str]]] = (
    (InvalidInput, 422, "invalid_input", "Some fields are wrong"),
    (IdempotencyMismatch, 422, "idempotency_mismatch", "This Idempotency-Key was used with another body"),
    (NotFound, 404, "not_found", "There is no such thing"),
    (StaleEdit, 412, "stale_edit", "It was changed since you read it"),
    (SchedulePaused, 409, "schedule_paused", "This schedule is paused"),
    (SendingStopped, 409, "sending_stopped", "All sending is stopped"),
    (Conflict, 409, "conflict", "Its state does not allow this"),
    (ScopeMissing, 403, "scope_missing", "The token does not allow this"),
    (NotTheOwner, 403, "not_the_owner", "This belongs to another token"),
    (AccessRefused, 401, "access_refused", "A valid token is needed"),
    (TooMany, 429, "too_many_requests", "This was asked for too often; try again later"),
    (Unavailable, 503, "unavailable", "A server that is needed is away; try again"),
)


# Refusals from before Mailroom's own rules are asked: stable code, status, title.
FROM_HTTP: Final = (
    ("bad_request", 400, "The request cannot be read"),
    ("method_not_allowed", 405, "This path does not take this method"),
    ("too_slow", 408, "The request did not come in its time"),
    ("too_large", 413, "The body is too large"),
    ("path_too_long", 414, "The path with its query is too long"),
    ("not_json", 415, "A JSON body is needed"),
    ("headers_too_large", 431, "The headers are too large"),
    ("not_supported", 501, "This way to send a request is not supported"),
    ("version_not_supported", 505, "This version of HTTP is not supported"),
)
# Titles of refused webhooks, and of answers that nobody should see.
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
    """The problem details of a refusal that is one answer among several. Raises the error where there are none."""
    for kind, status, code, _ in STATUS:
        if isinstance(error, kind):
            faults = error.faults if isinstance(error, InvalidInput) else ()
            return _body(status, code, "" if faults else str(error), faults)
    raise error


def faults_of(messages: Any) -> list[Fault]:
    """What marshmallow says of a body, with a path for each wrong field."""
    return list(_flatten(messages))


def _body(status: int, code: str, detail: str, faults: Sequence[Fault]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"/docs#problem-{code}",
        "title": TITLES[code],
        "status": status,
        "code": code,
        "request_id": g.get("request_id", ""),
    }
    if detail:
        body["detail"] = detail
    if faults:
        body["errors"] = [{"path": fault.path, "message": fault.message} for fault in faults]
    return body


def install(app: Flask) -> None:
    """Give each request an id, and every error its one shape."""

    @app.before_request
    def name_the_request() -> None:
        g.request_id = secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def tell_the_name(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response

    app.register_error_handler(MailroomError, _refused)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(Exception, _unexpected)


def _refused(error: MailroomError) -> Response:
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
    """Flask's and webargs' own refusals: a wrong path or method, a body that is too large or is no JSON."""
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
    """A bug: the caller learns the request's id, the log everything."""
    log.error("request_failed", method=request.method, path=request.path, exc_info=error)
    return problem(500, "internal", "Tell us the request id.")


def without_location(messages: Any) -> Any:
    """webargs files its messages under the part of the request that they are about."""
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
