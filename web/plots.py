"""Plots as SVG made on the server: no script, and they print."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 14, 34


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a pair: where it stands, how high it is, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    series: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    bars: list[Bar]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    base: float
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    width: int = WIDTH
    height: int = HEIGHT


def opens_by_hour(hours: Sequence[tuple[datetime, int]], zone: tzinfo) -> Plot:
    """First opens for each hour, by the clock of this zone."""
    labels = [f"{at.astimezone(zone):%d %b %H:%M}" for at, _ in hours]
    return paired_bars(labels, [("first opens", [count for _, count in hours])])


def paired_bars(labels: Sequence[str], series: Sequence[tuple[str, Sequence[int]]]) -> Plot:
    """Bars side by side for each label: `series` are (name, one value per label)."""
    top = max([value for _, values in series for value in values], default=0)
    ceiling = _round_up(top)
    base, tall = HEIGHT - _BOTTOM, HEIGHT - _BOTTOM - _TOP
    slot = (WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    thick = min(38.0, slot * 0.8 / max(1, len(series)))
    bars = []
    for index, label in enumerate(labels):
        start = _LEFT + slot * index + (slot - thick * len(series)) / 2
        for place, (name, values) in enumerate(series):
            high = tall * values[index] / ceiling
            title = f"{label}: {values[index]:,} {name}"
            bars.append(Bar(start + place * thick, base - high, max(1.0, thick - 2), high, name, title))
    every = max(1, -(-len(labels) // 8))  # at most eight labels, so that they do not run into each other
    x_ticks = [Tick(_LEFT + slot * (i + 0.5), label) for i, label in enumerate(labels) if i % every == 0]
    steps = sorted({round(ceiling * part / 4) for part in range(5)})
    y_ticks = [Tick(base - tall * value / ceiling, f"{value:,}") for value in steps]
    return Plot(bars, x_ticks, y_ticks, base)


def _round_up(value: int) -> int:
    """The next of 4, 8, 20, 40, 80, 200...: its quarters are whole numbers."""
    scale = 1
    while True:
        for step in (4, 8, 20):
            if value <= step * scale:
                return step * scale
        scale *= 10
