"""Refused requests are kept, redacted: hooked in behind every answer."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from flask import Flask, Response, g, request

from mailroom.domain.errors import Fault
from mailroom.domain.refusals import MAX_FAULTS, RejectedRequest, redacted
from scheduler_api.auth import client, services
from scheduler_api.reading import Unread

# Not 404 and 412: what is not there, or was changed meanwhile, is no fault of the request.
_KEPT: Final = frozenset({400, 401, 403, 405, 406, 409, 413, 415, 422, 429})
# Of whom we do not know, no body is kept; nor a large one.
_UNREAD: Final = frozenset({401, 403, 413})
_MOST_READ: Final = 256 * 1024
_MOST_PARTS: Final = 50  # of one request: they are refused for the same reason, mostly


def install(app: Flask) -> None:
    """Keep what is refused of `/v1` and `/webhooks`."""

    @app.after_request
    def keep(response: Response) -> Response:
        if response.status_code in _KEPT and request.path.startswith(("/v1/", "/webhooks/")):
            said: Any = response.get_json(silent=True)
            told = said if isinstance(said, dict) else {}
            raw = _body(response.status_code) if g.get("principal") else b""
            size = len(g.get("raw_body", b"")) or request.content_length or 0
            services().refusals.keep(_refusal(response.status_code, told, raw, path=request.path, size=size))
        return response


def keep_parts(parts: Iterable[tuple[str, Mapping[str, Any], Any]]) -> None:
    """Keep what was refused of a request that was not refused as a whole: which part, its problem, what it said."""
    # Not orjson: it writes no whole number beyond 64 bits, and the reader takes them.
    kept = (part for part in parts if part[1]["status"] in _KEPT)
    for which, told, said in islice(kept, _MOST_PARTS):
        raw = said.raw if isinstance(said, Unread) else json.dumps(said, default=str).encode()
        path = f"{request.path}{which}"
        shown = raw if len(raw) <= _MOST_READ else b""
        services().refusals.keep(_refusal(told["status"], told, shown, path=path, size=len(raw)))


def _refusal(status: int, told: Mapping[str, Any], raw: bytes, *, path: str, size: int) -> RejectedRequest:
    faults = [Fault(str(one.get("path")), str(one.get("message"))) for one in told.get("errors", [])[:MAX_FAULTS]]
    caller = g.get("principal")
    return RejectedRequest(
        at=datetime.now(UTC),
        method=request.method,
        path=path[:500],
        status=status,
        code=str(told.get("code") or ""),
        detail=str(told.get("detail") or told.get("Problem") or "")[:1_000],
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
