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
        g.request_id = request_id = request_id_of(request.headers.get(HEADER, ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if traces.is_on() and request.path not in PROBES:
            traces.begin_request(request.headers.get("traceparent", ""))

    @app.after_request
    def end(response: Response) -> Response:
        response.headers[HEADER] = g.get("request_id", "")
        _note(response.status_code)
        return response


def _note(status: int) -> None:
    # Each look at a name of `request` or `g` finds out anew whose turn it is.
    rule, method, request_id = request.url_rule, request.method, g.request_id
    route = template_of(rule.rule) if rule else NO_ROUTE
    seconds = time.monotonic() - g.began
    if traces.is_on():
        facts = {"method": method, "route": route, "status": status, "request_id": request_id}
        traces.end_request(f"{method} {route}", facts)
    caller: Principal | None = g.get("principal")
    answered(method, route, status, seconds=seconds, token=caller.id if caller else "")
    if caller is not None:
        services().requests.keep(
            ServedRequest(
                at=g.came_at,
                request_id=request_id,
                token=caller.id,
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1_000, 1),
            )
        )
