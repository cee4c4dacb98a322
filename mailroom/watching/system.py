"""API: the figures of the whole system, read from the stores. Every API shows the same ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

#: A gauge's values by the values of its labels.
Values = Mapping[tuple[str, ...], float]

#: Each gauge's words and labels.
GAUGES: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "mailroom_figures_fresh": ("1 while the other figures of the system could be read in the last half minute", ()),
    "mailroom_schedules": ("Schedules by state, counted up to 100,000", ["state"]),
    "mailroom_dispatches": ("Dispatches that are not through, or failed, by state, counted up to 100,000", ["state"]),
    "mailroom_queue_dispatches": ("Dispatches that are due and not claimed, up to 100,000", ["kind", "priority"]),
    "mailroom_queue_age_seconds": ("For how long the oldest of these has been due", ["kind", "priority"]),
    "mailroom_senders": ("Senders that checked in within the last half minute", ()),
    "mailroom_senders_wanted": ("Senders that would work off what is due within about a minute", ()),
    "mailroom_undrained_lanes": ("Lanes with work older than a minute that no sender drains", ()),
    "mailroom_undrained_seconds": ("For how long the oldest work in such a lane waits", ()),
    "mailroom_mails_gone_elsewhere": (
        "Single mails that went by another provider while their first call was in doubt, counted up to 10,000",
        ["went_twice"],
    ),
    "mailroom_webhook_events_unread": ("Signed events that could not be read, kept raw", ["provider"]),
    "mailroom_mailbox_unread_seconds": ("For how long a mailbox of bounces was not read to its end", ["mailbox"]),
    "mailroom_held": ("1 while senders hold because MongoDB is an older copy", ()),
    "mailroom_sending_stopped": ("1 while all sending is stopped by a person", ()),
    "mailroom_runs_paused": ("Runs that are paused", ()),
    "mailroom_ledger_imbalances": ("Things that did not balance in the newest ledger", ()),
    "mailroom_ledger_time_seconds": ("When the newest ledger was made", ()),
    "mailroom_store_writable": ("1 while a store takes a write, tried every few seconds", ["store"]),
}


class _Figures(Collector):
    def __init__(self, values: Mapping[str, Values]) -> None:
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, (words, labels) in GAUGES.items():
            family = GaugeMetricFamily(name, words, labels=labels)
            for of_labels, value in self._values.get(name, {}).items():
                family.add_metric(of_labels, value)
            yield family


def exposed(values: Mapping[str, Values]) -> bytes:
    """These figures in Prometheus' text format. A gauge without a value has no sample."""
    registry = CollectorRegistry()
    registry.register(_Figures(values))
    return generate_latest(registry)
