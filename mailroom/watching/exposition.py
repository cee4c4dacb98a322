"""The metrics of a part as text, for its `/metrics`."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from mailroom.watching import (
    accepting,
    feedback,
    feeds,
    lanes,
    mailboxes,
    planning,
    recording,
    requests,
    sending,
    stores,
)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
API: Final = "api"
PAGES: Final = "web"
SENDER: Final = "sender"
WEBHOOKS: Final = "webhooks-in"
#: The topics that each part shows. An API shows the figures of the whole system as well (system.py).
TOPICS: Final[Mapping[str, Sequence[CollectorRegistry]]] = {
    API: (
        stores.REGISTRY,
        requests.REGISTRY,
        recording.REGISTRY,
        accepting.REGISTRY,
        feedback.REGISTRY,
        feeds.REGISTRY,
    ),
    PAGES: (stores.REGISTRY, requests.REGISTRY, accepting.REGISTRY, feeds.REGISTRY),
    WEBHOOKS: (stores.REGISTRY, requests.REGISTRY, recording.REGISTRY, feedback.REGISTRY),
    SENDER: (
        stores.REGISTRY,
        lanes.REGISTRY,
        planning.REGISTRY,
        sending.REGISTRY,
        feeds.REGISTRY,
        mailboxes.REGISTRY,
    ),
}


def exposed(*parts: str) -> bytes:
    """The metrics of a process that is these parts, in Prometheus' text format."""
    topics = dict.fromkeys(topic for part in parts for topic in TOPICS[part])
    return b"".join(map(generate_latest, topics))
