"""Is this checkout slower than another one? Both are measured in turn, so that what disturbs the machine disturbs both.

    git worktree add /tmp/old REVISION
    python -m benchmarks.compare /tmp/old [--rounds 5] [--seconds 5] [--what sending intake]

`sending` is one mail a call at a stub that answers at once, 64 in flight; `intake` is `POST /v1/emails`, without and
with an Idempotency-Key. Each round is a process of its own in its own checkout, with fresh stores. Exit status 1 where
this checkout is slower by more than 5 % and by more than the rounds of the other one differ among themselves.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.intake import KEYED, MAILROOM

console = Console(stderr=True)
_HERE: Final = Path(__file__).parents[1]
_SLOWER: Final = 0.05
_LONGEST_S: Final = 900
# what is measured: the command, and the names of its contenders with the figure to compare
_MEASURED: Final[Mapping[str, tuple[Sequence[str], Mapping[str, str]]]] = {
    "sending": (["benchmarks.peers", "--only", "mailroom"], {"mailroom": "median"}),
    "intake": (["benchmarks.intake"], dict.fromkeys((MAILROOM, KEYED), "a second")),
}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("old", type=Path, help="the other checkout")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=5.0, help="what a round is to last")
    arguments.add_argument("--what", nargs="*", choices=list(_MEASURED), default=list(_MEASURED))
    options = arguments.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for what in options.what:
        found |= _compared(what, options.old.absolute(), options.rounds, options.seconds)
    table = Table("what", "old", "this one", "this / old", "spread of the old", "slower")
    for name, row in found.items():
        table.add_row(name, *(str(row[column]) for column in ("old", "new", "ratio", "spread", "slower")))
    console.print(table)
    print(json.dumps(found, indent=1))
    return 1 if any(row["slower"] for row in found.values()) else 0


def _compared(what: str, old: Path, rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    command, figures = _MEASURED[what]
    seen: dict[Path, list[Mapping[str, Mapping[str, float]]]] = {old: [], _HERE: []}
    for number in range(rounds):
        for checkout in (old, _HERE) if number % 2 == 0 else (_HERE, old):
            seen[checkout].append(_measured(checkout, [*command, "--rounds", "1", "--seconds", str(seconds)]))
            console.log(f"{what}, round {number + 1}: {checkout} done")
    return {
        f"{what}: {name}": judged([one[name][figure] for one in seen[old]], [one[name][figure] for one in seen[_HERE]])
        for name, figure in figures.items()
    }


def _measured(checkout: Path, command: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """What a benchmark of that checkout prints, whether or not its own goal is reached."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    found: Mapping[str, Mapping[str, float]] = json.loads(done.stdout)
    return found


def judged(old: Sequence[float], new: Sequence[float]) -> dict[str, Any]:
    """Rates of rounds that were taken in turn, by their medians. `spread` is how far the old rounds lie apart."""
    before, now = statistics.median(old), statistics.median(new)
    spread = (max(old) - min(old)) / before
    ratio = now / before
    return {
        "old": round(before),
        "new": round(now),
        "ratio": round(ratio, 3),
        "spread": round(spread, 3),
        "slower": ratio < 1 - max(_SLOWER, spread),
        "rounds": {"old": [round(one) for one in old], "new": [round(one) for one in new]},
    }


if __name__ == "__main__":
    sys.exit(main())
