"""`make bench`: what the promise costs, beside what people use instead. Writes docs/figures/peers.md and its plots.

Each contender posts one mail a call to the same stub, which runs in a process of its own. Rounds are interleaved; what
counts is the ratio within one run, not the figures of a machine.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import report
from benchmarks.peers.__main__ import contenders_of
from benchmarks.rounds import interleaved, summary, table
from benchmarks.stage import a_stub

console = Console(stderr=True)
_DOCS: Final = Path("docs/figures")
# name of the setting -> (delay of the stub's answers in ms, in flight, who)
SETTINGS: Final[dict[str, tuple[float, int, tuple[str, ...]]]] = {
    "answers at once, 64 in flight": (
        0.0,
        64,
        ("mailroom", "bare", "bullmq", "celery threads", "celery prefork, 8 processes", "dramatiq"),
    ),
    "answers after 50 ms, 64 in flight (the most there can be: 1,280)": (
        50.0,
        64,
        ("mailroom", "bare", "bullmq", "dramatiq"),
    ),
    "answers after 50 ms, 512 in flight": (50.0, 512, ("mailroom", "mailroom, 2 processes")),
}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=6.0, help="what a round is to last")
    options = arguments.parse_args()
    _DOCS.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    for name, (delay_ms, in_flight, who) in SETTINGS.items():
        console.rule(name)
        with tempfile.TemporaryDirectory() as folder, a_stub(Path(folder), delay_ms=delay_ms) as stub:
            all_ = contenders_of(stub, Path(folder), in_flight)
            rounds = interleaved(
                {one: all_[one] for one in who}, rounds=options.rounds, seconds=options.seconds, console=console
            )
        found[name] = summary(rounds)
        console.print(table(found[name]))
    _write(found)
    print(json.dumps(found, indent=1))
    doubled = sum(
        row["doubled"] for some in found.values() for name, row in some.items() if name.startswith("mailroom")
    )
    return 1 if doubled else 0


def _write(found: dict[str, dict[str, Any]]) -> None:
    parts = ["# Mailroom and others, one mail a call\n", "Made by `make bench`, whole.\n"]
    for number, (name, some) in enumerate(found.items(), 1):
        base = "bare" if "bare" in some else "mailroom"
        report.plot(some, _DOCS / f"peers-{number}.svg", title=f"Stub {name}")
        parts += [f"## Stub {name}\n", f"![{name}](peers-{number}.svg)\n", report.as_table(some, base=base), ""]
    (_DOCS / "peers.md").write_text("\n".join(parts))


if __name__ == "__main__":
    sys.exit(main())
