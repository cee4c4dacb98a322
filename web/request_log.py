"""Each request of the pages has an id, is counted, and gives one line in the log."""

import time
from typing import Final

import structlog
from flask import Flask, Response, g, request

from mailroom.domain.principals import Principal
from mailroom.domain.served_requests import request_id_of
from mailroom.watching import traces
from mailroom.watching.requests import NO_ROUTE, PROBES, answered, template_of

_HEADER: Final = "X-Request-Id"


def install(app: Flask) -> None:
    """Call it before other hooks are registered, so that they have the id and are measured."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.monotonic()
    g.request_id = request_id_of(request.headers.get(_HEADER, ""))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    if request.path not in PROBES:
        traces.begin_request(request.headers.get("traceparent", ""))


def _end(response: Response) -> Response:
    response.headers[_HEADER] = g.request_id
    route = template_of(request.url_rule.rule) if request.url_rule else NO_ROUTE
    facts = {"method": request.method, "route": route, "status": response.status_code, "request_id": g.request_id}
    traces.end_request(f"{request.method} {route}", facts)
    who: Principal | None = g.get("principal")
    seconds = time.monotonic() - g.began
    answered(request.method, route, response.status_code, seconds=seconds, token=who.id if who else "")
    return response
