"""Scrapes of running processes, stretched over hours as series for promtool: alerts wait for minutes, tests do not.

A recording has the scrapes before and after a cause. The series say for an hour what the well system said, and then
what it says since the cause: a gauge keeps its value, or goes on as it went between the last two scrapes; a counter
grows once by what the cause added to it, or by as much each minute, where the cause goes on.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.promtool import rules

CAUSE_MIN: Final = 60  # the minute of the last scrape of the well system
_COUNTS: Final = {"counter", "histogram"}


@dataclass(frozen=True)
class Scrape:
    """What the targets answered at a moment: the value of each series, as promtool writes its name. A target that does
    not answer has none."""

    at: float
    values: Mapping[str, float]
    counters: frozenset[str]  # those of the series that only grow

    def __getitem__(self, series: str) -> float:
        """The sum of the series with this name, whatever further labels they have; 0 without any."""
        name, _, labels = series.partition("{")
        wanted = set(filter(None, labels.rstrip("}").split(",")))
        return sum(v for key, v in self.values.items() if re.split("[{]", key)[0] == name and wanted <= _labels(key))


@dataclass(frozen=True)
class Recording:
    """`first` and `well`: of the well system, with what it does in a minute between them. `before` and `after`: around
    the cause. `later`: while it lasts, if something grows with time."""

    first: Scrape
    well: Scrape
    before: Scrape
    after: Scrape
    later: Scrape | None = None


def scrape(targets: Mapping[str, str]) -> Scrape:
    """What the URLs of these instances, each `job/number`, show at `/metrics`."""
    values: dict[str, float] = {}
    counters: set[str] = set()
    at = time.time()
    for instance, url in targets.items():
        for family in text_string_to_metric_families(_answer(url)):
            for sample in family.samples:
                labels = sample.labels | {"instance": instance, "job": instance.partition("/")[0]}
                inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
                key = f"{sample.name}{{{inside}}}"
                values[key] = sample.value
                if family.type in _COUNTS:
                    counters.add(key)
    return Scrape(at, values, frozenset(counters))


def series(recording: Recording, *, goes_on: bool, minutes: int) -> list[dict[str, str]]:
    """promtool's `input_series` of what the rules ask for, with a sample a minute for an hour before the cause and for
    `minutes` after it. `goes_on`: what was counted is counted again each minute."""
    asked = {name for rule in rules() for name in re.findall(r"\b(?:mailroom|process)_\w+", rule["expr"])}
    names = sorted({*recording.well.values, *recording.after.values})
    return [
        {"series": name, "values": f"{_well(recording, name)} {_caused(recording, name, goes_on, minutes)}"}
        for name in names
        if name.partition("{")[0] in asked
    ]


def _well(recording: Recording, name: str) -> str:
    well = recording.well
    if name not in well.values:
        return f"_x{CAUSE_MIN + 1}"
    if name in well.counters:
        first = recording.first.values.get(name, 0.0)
        return f"{first:f}+{well.values[name] - first:f}x{CAUSE_MIN}"
    return f"{_shifted(well, name):f}+0x{CAUSE_MIN}"


def _caused(recording: Recording, name: str, goes_on: bool, minutes: int) -> str:
    after, before = recording.after, recording.before
    if name not in after.values:
        return "stale" if name in recording.well.values else "_"
    if name in after.counters:
        growth = after.values[name] - before.values.get(name, 0.0)
        level = _level(recording, name) + growth
        return f"{level:f}+{growth if goes_on else 0:f}x{minutes - 1}"
    return f"{_shifted(after, name):f}+{_slope(recording, name):f}x{minutes - 1}"


def _level(recording: Recording, name: str) -> float:
    """Of a counter at the end of the well hour."""
    if name not in recording.well.values:
        return 0.0
    first, well = recording.first.values.get(name, 0.0), recording.well.values[name]
    return first + CAUSE_MIN * (well - first)


def _slope(recording: Recording, name: str) -> float:
    """By how much a gauge goes on growing each minute."""
    after, later = recording.after, recording.later
    if later is None or name not in later.values:
        return 0.0
    return (later.values[name] - after.values[name]) / (later.at - after.at) * 60


def _shifted(seen: Scrape, name: str) -> float:
    """A gauge's value; a time is put as long before the minute of the cause as it was before the scrape."""
    value = seen.values[name]
    return value - seen.at + CAUSE_MIN * 60 if name.partition("{")[0].endswith("_time_seconds") and value else value


def _answer(url: str) -> str:
    try:
        answer = requests.get(f"{url}/metrics", timeout=10)
    except requests.RequestException:
        return ""
    return answer.text if answer.ok else ""


def _labels(key: str) -> set[str]:
    return set(re.findall(r'\w+="[^"]*"', key))


def unit_test(recording: Recording, checks: list[dict[str, Any]], *, goes_on: bool, minutes: int) -> dict[str, Any]:
    """promtool's file of rules tests that has these checks of expressions, each of a minute."""
    test = {
        "interval": "1m",
        "input_series": series(recording, goes_on=goes_on, minutes=minutes),
        "promql_expr_test": checks,
    }
    return {"evaluation_interval": "1m", "tests": [test]}
