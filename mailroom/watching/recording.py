"""API: the record of answered requests."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

REGISTRY: Final = CollectorRegistry()
_UNRECORDED: Final = Counter(
    "mailroom_requests_unrecorded_total",
    "Requests that GET /v1/requests does not show, because too many waited to be written",
    registry=REGISTRY,
)


def unrecorded() -> None:
    """Count a request that was answered and is not recorded."""
    _UNRECORDED.inc()
