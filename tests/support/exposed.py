"""The metrics that the code exposes: name, type and labels of each, and the parts that show it."""

from collections import defaultdict

from prometheus_client.metrics import MetricWrapperBase

from mailroom.watching.exposition import TOPICS
from mailroom.watching.histograms import Histogram
from mailroom.watching.system import GAUGES

Metric = tuple[str, str, tuple[str, ...]]
FIGURES = "the API's figures"


def metrics_of_the_code() -> dict[Metric, set[str]]:
    """Name, type and labels of each metric, with the parts that show it."""
    shown: dict[Metric, set[str]] = defaultdict(set)
    for part, registries in TOPICS.items():
        for registry in registries:
            for metric in registry._collector_to_names:
                if isinstance(metric, Histogram):
                    shown[metric.name, "histogram", tuple(metric.label_names)].add(part)
                elif isinstance(metric, MetricWrapperBase):
                    total = "_total" if metric._type == "counter" else ""
                    shown[metric._name + total, metric._type, metric._labelnames].add(part)
    for name, (_, labels) in GAUGES.items():
        shown[name, "gauge", tuple(labels)].add(FIGURES)
    return shown


def series_of_the_code() -> dict[str, set[str]]:
    """The names under which Prometheus stores these metrics, with the labels of each."""
    stored: dict[str, set[str]] = {}
    for name, kind, labels in metrics_of_the_code():
        if kind == "histogram":
            stored |= {f"{name}_{part}": set(labels) for part in ("count", "sum")}
            stored[f"{name}_bucket"] = {*labels, "le"}
        else:
            stored[name] = set(labels)
    return stored
