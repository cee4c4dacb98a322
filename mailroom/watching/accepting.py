"""API and pages: the single mails that they took in."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

REGISTRY: Final = CollectorRegistry()
_ACCEPTED: Final = Counter(
    "mailroom_accepted_mails_total",
    "Single mails that were stored to be sent; a repeated request counts once",
    ["priority"],
    registry=REGISTRY,
)
_BY_PRIORITY: Final = {priority: _ACCEPTED.labels(priority) for priority in ("high", "normal", "low")}


def accepted(priority: str) -> None:
    """Count a mail that is on a majority's disks."""
    _BY_PRIORITY[priority].inc()
