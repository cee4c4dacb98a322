"""What an hour showed: each figure's slope and whether that is flat, the alerts, and what the witness counted."""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.soak.load import Pace
from benchmarks.soak.samples import Window
from benchmarks.soak.slopes import Shape, Slope, slope

# Growth an hour that is not told from none: in MB of a process of ours, and in milliseconds.
MEMORY_BOUND: Final = 4.0
LATENCY_BOUNDS: Final = {"p50": 5.0, "p99": 50.0}
_WARM_S: Final = 120.0
_WARM_PART: Final = 0.1


@dataclass(frozen=True, slots=True)
class Counted:
    """By the witness, the peak included. `lost`: promised, and not gone out; `behind`: due, and never asked for."""

    mails: int
    campaign_mails: int
    campaign_runs: int
    views: int
    doubled: int
    lost: int
    refused: int
    behind: int


@dataclass(frozen=True, slots=True)
class Found:
    minutes: float
    peak_a_second: float
    pace: Pace
    windows: Sequence[Window]
    ours: Sequence[str]  # the processes of which memory must be flat
    rules: int  # alerts that were evaluated
    blind: Sequence[str]  # where Prometheus could not see
    fired: Mapping[str, float]  # seconds, by alert
    pending: Mapping[str, float]
    counted: Counted

    @property
    def warm_s(self) -> float:
        """From when on the slopes are taken."""
        return max(_WARM_S, self.minutes * 60 * _WARM_PART)

    @property
    def holds(self) -> bool:
        well = all(shape in (None, Shape.FLAT) for _, _, _, shape in rows(self))
        return well and not (
            self.blind or self.fired or self.counted.doubled or self.counted.lost or self.counted.refused
        )


def rows(found: Found) -> Iterator[tuple[str, Slope, float | None, Shape | None]]:
    """Each figure with its slope, its bound and its shape. Stores grow with what they keep: they have no bound."""
    warm = [window for window in found.windows if window.at_s >= found.warm_s]
    for name in warm[0].memory_mb:
        line = _slope(warm, lambda window, name=name: window.memory_mb.get(name))
        bound = MEMORY_BOUND if name in found.ours else None
        yield f"{name}, MB", line, bound, None if bound is None else line.shape(bound)
    for name in warm[0].ms:
        line = _slope(warm, lambda window, name=name: window.ms.get(name))
        bound = LATENCY_BOUNDS[name.rpartition(" ")[2]]
        yield f"{name}, ms", line, bound, line.shape(bound)


def _slope(warm: Sequence[Window], of: Callable[[Window], float | None]) -> Slope:
    return slope([(window.at_s, figure) for window in warm if (figure := of(window)) is not None])


def as_tables(found: Found) -> str:
    """In Markdown, for docs/."""
    pace, counted = found.pace, found.counted
    others = [window.others_cores for window in found.windows]
    lines = [
        f"{found.minutes:.0f} minutes at {pace.mails_a_second:.0f} single mails a second (the peak: "
        f"{found.peak_a_second:.0f}), a campaign to {pace.recipients:,} each half minute, "
        f"{pace.views_a_second:.1f} pages a second. Slopes from minute {found.warm_s / 60:.0f} on.",
        "",
        "| figure | at the beginning | at the end | growth an hour | bound | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, line, bound, shape in rows(found):
        grown = f"{line.an_hour:+.1f} ± {line.error:.1f}"
        cells = (name, f"{line.begins:.1f}", f"{line.ends:.1f}", grown, "" if bound is None else f"{bound:g}")
        lines.append(f"| {' | '.join(cells)} | {shape or 'keeps what it is given'} |")
    fired = ", ".join(f"{name} ({seconds:.0f} s)" for name, seconds in found.fired.items()) or "none"
    pending = ", ".join(f"{name} ({seconds:.0f} s)" for name, seconds in found.pending.items()) or "none"
    lines += [
        "",
        f"Alerts: {found.rules} evaluated; fired: {fired}; pending for a while: {pending}.",
        *(f"Not seen: {spot}." for spot in found.blind),
        f"{counted.mails:,} single mails, {counted.campaign_mails:,} of {counted.campaign_runs} runs of campaigns, "
        f"{counted.views:,} pages; doubled {counted.doubled}, lost {counted.lost}, refused {counted.refused}, never "
        f"asked for {counted.behind}.",
        f"Others used {statistics.median(others):.2f} cores meanwhile (median; most {max(others):.2f}).",
    ]
    return "\n".join(lines)


def as_json(found: Found) -> str:
    slopes = {name: asdict(line) | {"bound": bound, "shape": shape} for name, line, bound, shape in rows(found)}
    return json.dumps(asdict(found) | {"holds": found.holds, "slopes": slopes}, indent=1)


def as_line(window: Window) -> str:
    """While it runs."""
    memory = ", ".join(f"{name} {mb:.0f}" for name, mb in window.memory_mb.items())
    return f"{memory} MB; " + ", ".join(f"{name} {ms:.0f}" for name, ms in window.ms.items()) + " ms"
