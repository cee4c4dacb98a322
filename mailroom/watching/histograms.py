"""A histogram for what happens thousands of times a second.

It shows the same buckets, sum and count as `prometheus_client.Histogram`, which takes a lock for each of the three.
This one takes one lock in all, because a sender observes something several times for each mail.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Series:
    """The observations under one set of labels. Thread-safe."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._lock = bounds, threading.Lock()
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        place = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def so_far(self) -> tuple[Sequence[tuple[str, float]], float]:
        """For each bound how many observations are at most as large, and the sum of all."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(counts)), strict=True)), total


class Histogram(Collector):
    """Series by the values of their labels, shown in the registry under one name."""

    def __init__(
        self, name: str, words: str, labels: Sequence[str], *, registry: CollectorRegistry, buckets: Sequence[float]
    ) -> None:
        """`buckets`: their upper bounds, ascending, without infinity."""
        self.name, self.label_names, self._words = name, labels, words
        self._buckets, self._lock = tuple(map(float, buckets)), threading.Lock()
        self._series: dict[tuple[str, ...], Series] = {}
        registry.register(self)

    def labels(self, *values: str) -> Series:
        """The series with these values of the labels, in the order of their names. It is shown from now on."""
        found = self._series.get(values)
        if found is None:
            with self._lock:
                found = self._series.setdefault(values, Series(self._buckets))
        return found

    def describe(self) -> Iterable[HistogramMetricFamily]:
        return [self._family()]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            series = list(self._series.items())
        family = self._family()
        for values, one in series:
            buckets, total = one.so_far()
            family.add_metric(values, buckets, total)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self.name, self._words, labels=self.label_names)
