"""Our histogram shows what the client library's shows of the same observations."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Original

from mailroom.watching.histograms import Histogram

BUCKETS = (0.25, 0.5, 1, 2.5)


def lines(registry: CollectorRegistry) -> list[str]:
    shown = generate_latest(registry).decode().splitlines()
    return sorted(line for line in shown if "_created" not in line)


def test_it_shows_the_lines_of_the_original() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Histogram("took_seconds", "How long", ["a", "b"], registry=ours, buckets=BUCKETS)
    original = Original("took_seconds", "How long", ["a", "b"], registry=theirs, buckets=BUCKETS)

    for labels in (("x", "y"), ("x", 'a "quoted"'), ("x", "y")):
        for value in (0, 0.25, 0.2500001, 1, 2.5, 3, 1e9):
            mine.labels(*labels).observe(value)
            original.labels(*labels).observe(value)

    assert lines(ours) == lines(theirs)


def test_a_series_is_shown_before_its_first_observation() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    Histogram("took_seconds", "How long", ["a"], registry=ours, buckets=BUCKETS).labels("x")
    Original("took_seconds", "How long", ["a"], registry=theirs, buckets=BUCKETS).labels("x")

    assert lines(ours) == lines(theirs)
    assert 'took_seconds_count{a="x"} 0.0' in lines(ours)
