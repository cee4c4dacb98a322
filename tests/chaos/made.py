"""What each fault made, from its beginning to the next one's: by the trails and logs of the product. They only tell the
stories behind the figures.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.chaos.world import World


@dataclass(slots=True)
class Injected:
    """One fault that was done: when it began and ended, and how many it counts for."""

    fault: str
    began: float
    ended: float
    count: int


MADE: Final = (
    "doubts",
    "second attempts",
    "settled: accepted",
    "settled: not accepted",
    "settled by fence",
    "late wake-ups",
)


def by_fault(world: World, injected: Sequence[Injected]) -> dict[str, dict[str, int]]:
    """What happened from each fault's beginning to the next one's: doubts, second attempts, and so on."""
    found: dict[str, Counter[str]] = {}
    for one in injected:
        found.setdefault(one.fault, Counter())["injected"] += one.count

    def at(moment: float) -> Counter[str] | None:
        last = next((one for one in reversed(injected) if one.began <= moment), None)
        return found[last.fault] if last else None

    for dispatch in world.system.db.dispatches.find({}, {"trail": 1}):
        for step in dispatch["trail"]:
            here = at(step["at"].timestamp())
            if here is None:
                continue
            here["doubts"] += step["step"] == "in_doubt"
            here["second attempts"] += step["step"] == "claimed" and step.get("attempt", 0) > 1
            here["settled: not accepted"] += step["step"] == "not_accepted"
    for line in _log_events(world.system.folder):
        here = at(_moment(line))
        if here is None:
            continue
        event = line.get("event")
        here["settled by fence"] += event == "dispatch_abandoned" and line.get("finding") in ("accepted", "not_called")
        here["settled: accepted"] += event == "doubt_settled" and line.get("verdict") == "accepted"
        here["late wake-ups"] += event in ("lane_lost", "lease_lost")
    return {fault: {name: counts[name] for name in ("injected", *MADE)} for fault, counts in found.items()}


def _moment(line: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(line["timestamp"])).timestamp()
    except (KeyError, ValueError):
        return 0.0


def _log_events(folder: Path) -> list[dict[str, Any]]:
    """Every log line of every sender, as its fields."""
    found = []
    for path in sorted((folder / "logs").glob("sender-*.log")):
        for line in path.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found
