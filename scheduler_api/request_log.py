"""Each request has an id, is counted, gives one line in the log, and is recorded for its caller."""

import time
from datetime import UTC, datetime
from typing import Final

import structlog
from flask import Flask, Response, g, request

from mailroom.domain.principals import Principal
from mailroom.domain.served_requests import ServedRequest, request_id_of
from mailroom.watching import traces
from mailroom.watching.requests import NO_ROUTE, PROBES, answered, template_of
from scheduler_api.auth import services

HEADER: Final = "X-Request-Id"


def install(app: Flask) -> None:
    """Call it before other hooks are registered, so that they have the id and are measured."""

    @app.before_request
    def begin() -> None:
        g.began, g.came_at = time.monotonic(), datetime.now(UTC)
        g.request_id = request_id_of(request.headers.get(HEADER, ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        if request.path not in PROBES:
            traces.begin_request(request.headers.get("traceparent", ""))

    @app.after_request
    def end(response: Response) -> Response:
        response.headers[HEADER] = g.get("request_id", "")
        _note(response.status_code)
        return response


def _note(status: int) -> None:
    route = template_of(request.url_rule.rule) if request.url_rule else NO_ROUTE
    seconds = time.monotonic() - g.began
    facts = {"method": request.method, "route": route, "status": status, "request_id": g.request_id}
    traces.end_request(f"{request.method} {route}", facts)
    caller: Principal | None = g.get("principal")
    answered(request.method, route, status, seconds=seconds, token=caller.id if caller else "")
    if caller is not None:
        services().requests.keep(
            ServedRequest(
                at=g.came_at,
                request_id=g.request_id,
                token=caller.id,
                method=request.method,
                route=route,
                status=status,
                ms=round(seconds * 1_000, 1),
            )
        )
