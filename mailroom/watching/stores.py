"""Every part: the round trips to the stores, and the process itself (memory, CPU, open files)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.process_collector import ProcessCollector

from mailroom.watching.histograms import Histogram

MONGODB: Final = "mongodb"
ETCD: Final = "etcd"
REDIS: Final = "redis"

REGISTRY: Final = CollectorRegistry()
_PROCESS: Final = ProcessCollector(registry=REGISTRY)
_ROUND_TRIPS: Final = Histogram(
    "mailroom_store_round_trip_seconds",
    "Round trips to a store, whether or not they were answered",
    ["store"],
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_FAILURES: Final = Counter(
    "mailroom_store_failures_total",
    "Uses of a store that failed because it did not answer, or took no writes",
    ["store"],
    registry=REGISTRY,
)
_TOOK: Final = {store: _ROUND_TRIPS.labels(store) for store in (MONGODB, ETCD, REDIS)}
_FAILED: Final = {store: _FAILURES.labels(store) for store in (MONGODB, ETCD, REDIS)}


def took(store: str, seconds: float) -> None:
    """Note a round trip."""
    _TOOK[store].observe(seconds)


def failed(store: str) -> None:
    """Note a use of the store that failed."""
    _FAILED[store].inc()


@contextmanager
def timed(store: str) -> Iterator[None]:
    """Note this block as one round trip."""
    began = time.monotonic()
    try:
        yield
    finally:
        took(store, time.monotonic() - began)
