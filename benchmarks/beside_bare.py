"""How a route of Mailroom's compares with a bare one: both asked in turn, for some rounds each."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table


class Answered(Protocol):
    """What came of a round: answers a second, and the time of each."""

    @property
    def rate(self) -> float: ...

    @property
    def latencies_ms(self) -> Sequence[float]: ...


def beside(rounds: Sequence[Answered], bare: Sequence[Answered]) -> dict[str, Any]:
    """The rates of these rounds, what they are of the bare route's, and the times of all answers together."""
    rates = [one.rate for one in rounds]
    spent = sorted(ms for one in rounds for ms in one.latencies_ms)
    median = statistics.median(rates)
    return {
        "a second": round(median),
        "least": round(min(rates)),
        "most": round(max(rates)),
        "times the bare route": round(median / statistics.median(one.rate for one in bare), 3),
        "p50 ms": round(spent[len(spent) // 2], 1),
        "p99 ms": round(spent[int(len(spent) * 0.99)], 1),
    }


def show(found: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """A row for each route; all have the same columns."""
    columns = list(next(iter(found.values())))
    table = Table("who", *columns)
    for name, row in found.items():
        table.add_row(name, *(str(row[column]) for column in columns))
    console.print(table)
