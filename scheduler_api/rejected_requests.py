"""Record refused requests, redacted, after every answer."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from flask import Flask, Response, g, request

from mailroom.domain.errors import Fault
from mailroom.domain.rejected_requests import MAX_FAULTS, RejectedRequest, redacted
from scheduler_api.auth import client, services
from scheduler_api.reading import Unread

# Not 404 and 412: a missing or changed object is no fault of the request.
_KEPT: Final = frozenset({400, 401, 403, 405, 406, 409, 413, 415, 422, 429})
# No body is recorded of callers who are unknown or not allowed to call, nor a large one.
_UNREAD: Final = frozenset({401, 403, 413})
_MOST_READ: Final = 256 * 1024
_MOST_PARTS: Final = 50  # of one batch: most are refused for the same reason


def install(app: Flask) -> None:
    """Record the refused requests to `/v1` and `/webhooks`."""

    @app.after_request
    def keep(response: Response) -> Response:
        if response.status_code in _KEPT and request.path.startswith(("/v1/", "/webhooks/")):
            body: Any = response.get_json(silent=True)
            document = body if isinstance(body, dict) else {}
            raw = _body(response.status_code) if g.get("principal") else b""
            size = len(g.get("raw_body", b"")) or request.content_length or 0
            services().refusals.keep(_refusal(response.status_code, document, raw, path=request.path, size=size))
        return response


def keep_parts(parts: Iterable[tuple[str, Mapping[str, Any], Any]]) -> None:
    """Record the refused parts of a batch: each with its name, its problem details and its content."""
    # Not orjson: a body may hold whole numbers beyond 64 bits, which orjson does not write.
    kept = (part for part in parts if part[1]["status"] in _KEPT)
    for name, problem, content in islice(kept, _MOST_PARTS):
        raw = content.raw if isinstance(content, Unread) else json.dumps(content, default=str).encode()
        path = f"{request.path}{name}"
        shown = raw if len(raw) <= _MOST_READ else b""
        services().refusals.keep(_refusal(problem["status"], problem, shown, path=path, size=len(raw)))


def _refusal(status: int, problem: Mapping[str, Any], raw: bytes, *, path: str, size: int) -> RejectedRequest:
    faults = [
        Fault(str(fault.get("path")), str(fault.get("message"))) for fault in problem.get("errors", [])[:MAX_FAULTS]
    ]
    caller = g.get("principal")
    return RejectedRequest(
        at=datetime.now(UTC),
        method=request.method,
        path=path[:500],
        status=status,
        code=str(problem.get("code") or ""),
        detail=str(problem.get("detail") or problem.get("Problem") or "")[:1_000],
        faults=faults,
        who=caller.name if caller else "",
        remote=client(),
        request_id=g.get("request_id", ""),
        size=size,
        body=redacted(raw) if raw else "",
    )


def _body(status: int) -> bytes:
    raw: bytes = g.get("raw_body", b"")
    return raw if status not in _UNREAD and len(raw) <= _MOST_READ else b""
