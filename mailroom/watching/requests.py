"""API and pages: the requests that they answered, counted by route and status, with one line each in the log."""

import functools
import re
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from mailroom.watching.histograms import Histogram

log = structlog.get_logger()
REGISTRY: Final = CollectorRegistry()
NO_ROUTE: Final = "none"  # of a request for a path that does not exist
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Asked every few seconds by machines: a line for each would bury the others.
PROBES: Final = frozenset({"/health", "/ready", "/metrics"})
_PARAMETER: Final = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_ANSWERED: Final = Counter(
    "mailroom_http_requests_total",
    "Requests that were answered",
    ["method", "route", "status"],
    registry=REGISTRY,
)
_TOOK: Final = Histogram(
    "mailroom_http_request_seconds",
    "From the whole request to its answer, without the time on the wire",
    ["method", "route"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

_answered = functools.cache(_ANSWERED.labels)  # to find a series by its labels takes longer than to add to it


def answered(method: str, route: str, status: int, *, seconds: float, token: str) -> None:
    """Count an answer, and log it. `route`: the template of the route, or NO_ROUTE; never the path of the request.
    `token`: the id of the caller's token; '' without one."""
    known = method if method in _METHODS else "other"  # a client may send any word
    _answered(known, route, str(status)).inc()
    _TOOK.labels(known, route).observe(seconds)
    write = log.debug if route in PROBES else log.info
    write("request", method=known, route=route, status=status, token=token, ms=round(seconds * 1_000, 1))


@functools.cache
def template_of(rule: str) -> str:
    """A rule of Flask's as an OpenAPI document writes it: `/v1/emails/{email_id}`."""
    return _PARAMETER.sub(r"{\1}", rule)
