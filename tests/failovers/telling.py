"""What a run found, as tables in Markdown for docs/chaos.md, and as JSON."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from tests.chaos.verdict import Verdict


@dataclass(slots=True)
class Timed:
    """One fail-over. `led_s`: from the fault until the store had another leader, or etcd its quorum again.
    `taken_in_s`: from the fault until mail was taken in normally. `whole_s`: until it went out normally as well; of
    etcd from the return of the quorum. `returned_s`: the same from the return of the member that was away."""

    way: str
    in_flight: int
    led_s: float
    taken_in_s: float
    whole_s: float
    disturbed: Sequence[tuple[float, float | None, float | None]]  # probes: asked, taken in, gone out
    returned_s: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All of one store's, the seconds of each normal probe, and what was counted."""

    store: str
    timed: Sequence[Timed]
    probes_s: Sequence[float]
    counted: Verdict


_COUNTED: Final = ("asked", "accepted once", "refused by the provider", "doubled", "lost", "unknown", "dispatches")
_TIMED: Final = ("led again", "taken in again", "whole again", "after its return")


def as_tables(found: Sequence[Found]) -> str:
    """Counts, and seconds as least, median, most: of each store, and of each way in which it failed over."""
    counted = [_row("store", "times", *_COUNTED), _rule(2 + len(_COUNTED))]
    timed = [_row("store", "how", "times", "calls in flight", *_TIMED), _rule(4 + len(_TIMED))]
    for one in found:
        of = one.counted
        wrong = (len(of.doubled), len(of.lost), len(of.unknown))
        figures = (of.asked, of.accepted_once, of.refused, *wrong, of.dispatches)
        counted.append(_row(one.store, str(len(one.timed)), *(f"{figure:,}" for figure in figures)))
        timed.append(_timed_row(one.store, "all", one.timed))
        for way in dict.fromkeys(each.way for each in one.timed):
            timed.append(_timed_row(one.store, way, [each for each in one.timed if each.way == way]))
    calm = [f"Normal probes, {one.store}: median {_at(one, 0.5):.2f} s, p99 {_at(one, 0.99):.2f} s" for one in found]
    return "\n".join([*counted, "", *timed, "", *calm])


def as_json(found: Sequence[Found]) -> str:
    shown = [
        {
            "store": one.store,
            "times": len(one.timed),
            "fail_overs": [asdict(each) for each in one.timed],
            "seconds": {
                name: _three(getattr(each, name) for each in one.timed)
                for name in ("led_s", "taken_in_s", "whole_s", "returned_s")
            },
            "probe_p50_s": round(_at(one, 0.5), 3),
            "probe_p99_s": round(_at(one, 0.99), 3),
            "asked": one.counted.asked,
            "accepted_once": one.counted.accepted_once,
            "refused": one.counted.refused,
            "doubled": one.counted.doubled,
            "lost": one.counted.lost,
            "unknown": one.counted.unknown,
            "dispatches": one.counted.dispatches,
        }
        for one in found
    ]
    return json.dumps(shown, indent=1)


def _timed_row(store: str, how: str, timed: Sequence[Timed]) -> str:
    flights = [one.in_flight for one in timed]
    columns: list[Callable[[Timed], float | None]] = [
        lambda one: one.led_s,
        lambda one: one.taken_in_s,
        lambda one: one.whole_s,
        lambda one: one.returned_s,
    ]
    spans = [_span(column(one) for one in timed) for column in columns]
    return _row(store, how, str(len(timed)), f"{min(flights)} to {max(flights)}", *spans)


def _span(seconds: Iterable[float | None]) -> str:
    three = _three(seconds)
    return ", ".join(f"{each:.1f}" for each in three) + " s" if three else ""


def _three(seconds: Iterable[float | None]) -> tuple[float, float, float] | None:
    """Least, median and most."""
    there = [each for each in seconds if each is not None]
    return (min(there), statistics.median(there), max(there)) if there else None


def _at(one: Found, part: float) -> float:
    return one.probes_s[int(len(one.probes_s) * part)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return _row(*["---"] * columns)
