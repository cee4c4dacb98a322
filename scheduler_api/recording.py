"""Refused requests are kept, redacted: hooked in behind every answer."""

from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from mailroom.domain.errors import Fault
from mailroom.domain.refusals import MAX_FAULTS, Refusal, redacted
from scheduler_api.auth import front

# Not 404 and 412: what is not there, or was changed meanwhile, is no fault of the request.
_KEPT: Final = frozenset({400, 401, 403, 405, 406, 409, 413, 415, 422, 429})
# Of whom we do not know, no body is kept; nor a large one.
_UNREAD: Final = frozenset({401, 403, 413})
_MOST_READ: Final = 256 * 1024


def install(app: Flask) -> None:
    """Keep what is refused of `/v1` and `/webhooks`."""

    @app.after_request
    def keep(response: Response) -> Response:
        if response.status_code in _KEPT and request.path.startswith(("/v1/", "/webhooks/")):
            front().refusals.keep(_refusal(response))
        return response


def _refusal(response: Response) -> Refusal:
    said: Any = response.get_json(silent=True)
    told = said if isinstance(said, dict) else {}
    faults = [Fault(str(one.get("path")), str(one.get("message"))) for one in told.get("errors", [])[:MAX_FAULTS]]
    caller = g.get("principal")
    return Refusal(
        at=datetime.now(UTC),
        method=request.method,
        path=request.path[:500],
        status=response.status_code,
        code=str(told.get("code") or ""),
        detail=str(told.get("detail") or told.get("Problem") or "")[:1_000],
        faults=faults,
        who=caller.name if caller else "",
        remote=request.remote_addr or "",
        request_id=g.get("request_id", ""),
        size=request.content_length or 0,
        body=_body(response.status_code) if caller else "",
    )


def _body(status: int) -> str:
    if status in _UNREAD or not 0 < (request.content_length or 0) <= _MOST_READ:
        return ""
    try:
        return redacted(request.get_data())
    except (HTTPException, OSError):
        return ""
