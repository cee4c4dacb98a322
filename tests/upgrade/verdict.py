"""What came of it, by the simulator's record: each mail that was promised went out once, or it is doubled or lost."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Final

from rich.table import Table

from mailroom.coordination.fences import Fences
from mailroom.services.operations import ledger
from mailroom.storage.database import server_now
from tests.support.system import System
from tests.upgrade.callers import Callers
from tests.upgrade.fleet import Fleet, Replaced
from tests.upgrade.promises import Promises, is_refused

_SPAN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Roll:
    """All processes replaced by those of one version, one after the other."""

    to: str
    by: str
    took_s: float
    side_by_side_s: float  # for how long senders of both versions ran
    longest_pause_s: float  # the longest time in which the provider took no call
    replaced: Sequence[Replaced]


@dataclass(slots=True)
class Verdict:
    asked: int = 0
    accepted_once: int = 0
    refused: int = 0  # addresses that the provider refuses
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)  # that went out, and nobody had asked for
    imbalances: list[str] = field(default_factory=list)  # that the product's own ledger finds
    open: Mapping[str, int] = field(default_factory=dict)  # what did not come to its end
    odd: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # clients that could not go on
    tracebacks: list[str] = field(default_factory=list)
    rolls: list[Roll] = field(default_factory=list)
    mails_by: dict[str, int] = field(default_factory=dict)  # by the version whose sender took the acceptance
    of_both: int = 0  # dispatches that senders of both versions had in hand
    doubts: int = 0
    answers_by: dict[str, int] = field(default_factory=dict)
    pages_by: dict[str, int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    elsewhere: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.wrong

    @property
    def wrong(self) -> dict[str, list[str]]:
        """All that should be empty, and is not."""
        found = {"doubled": self.doubled, "lost": self.lost, "unasked": self.unasked, "odd": self.odd}
        found |= {"broken": self.broken, "traceback": self.tracebacks, "not balanced": self.imbalances}
        found |= {"open": [f"{count} {what}" for what, count in self.open.items()]}
        found |= {
            "not in order": [each.place for roll in self.rolls for each in roll.replaced if _ended_oddly(roll, each)]
        }
        return {what: ids for what, ids in found.items() if ids}


def _ended_oddly(roll: Roll, replaced: Replaced) -> bool:
    return roll.by == "SIGTERM" and replaced.code != 0


def judge(system: System, fleet: Fleet, callers: Callers, promises: Promises) -> Verdict:
    """Count it. Everything must be quiet."""
    found = Verdict()
    went_out = Counter((mail["subject"], mail["recipient"]) for mail in system.simulator.mails())
    for (mark, address), times in promises.copies.items():
        found.asked += times
        copies = went_out.pop((mark, address), 0)
        if is_refused(address) and copies == 0:
            found.refused += times
            continue
        found.accepted_once += min(copies, times)
        if copies > times:
            found.doubled.append(f"{mark} {address}: {copies} times, not {times}")
        elif copies < times:
            found.lost.append(f"{mark} {address}: {copies} times, not {times}")
    found.unasked = [f"{mark} {address}: {times} times" for (mark, address), times in went_out.items()]
    _say_who(found, system, fleet)
    found.odd, found.repeated, found.answers_by = callers.odd, dict(callers.repeated), dict(callers.answers)
    found.tracebacks, found.imbalances = _tracebacks(system), _imbalances(system)
    return found


def _say_who(found: Verdict, system: System, fleet: Fleet) -> None:
    """Which version sent how much, by the senders' names in the trails."""
    by: Counter[str] = Counter()
    for dispatch in system.db.dispatches.find({}, {"accepted": 1, "trail": 1, "messages": 1, "state": 1}):
        senders = [step["sender"] for step in dispatch["trail"] if "sender" in step]
        found.of_both += len({fleet.sent_by[sender] for sender in senders if sender in fleet.sent_by}) > 1
        found.doubts += any(step["step"] == "in_doubt" for step in dispatch["trail"])
        if dispatch["state"] == "accepted":
            first = dispatch["accepted"][0]
            by[fleet.sent_by.get(first.get("sender", ""), "not said: parts")] += dispatch["messages"]
    found.mails_by = dict(by)


def _imbalances(system: System) -> list[str]:
    """Of what was stored by both versions, across MongoDB and Redis."""
    fences = Fences(system.settings.stores.redis_url, of=system.db.name)
    try:
        checked = ledger.check(system.db, since=server_now(system.db) - _SPAN, fences=fences, young=timedelta())
    finally:
        fences.close_client()
    return [f"{one.kind} {one.id}: {one.words}" for one in checked.imbalances]


def _tracebacks(system: System) -> list[str]:
    """How all tracebacks in the processes' logs end, each with the log's name and how often it came."""
    found: Counter[str] = Counter()
    for path in sorted((system.folder / "logs").glob("*.log")):
        for error in _errors(path.read_text(errors="replace").splitlines()):
            if _OF_AN_END not in error or not path.stem.endswith("-old"):
                found[f"{path.stem}: {error}"] += 1
    return [f"{told} ({times} times)" for told, times in found.items()]


#: Senders before this version did not wait for a duty of theirs when they ended.
_OF_AN_END: Final = "Cannot use MongoClient after close"


def _errors(lines: Sequence[str]) -> Iterator[str]:
    """The last line of each traceback, which stands in the log as it is, or in a field."""
    inside = False
    for line in lines:
        inside = inside or line.startswith("Traceback")
        if inside and not line.startswith(("Traceback", " ")):
            inside = False
            yield line
        if line.startswith("{") and '"exception": "' in line:
            told = json.loads(line)
            yield f"{told['event']}: {told['exception'].strip().splitlines()[-1]}"


def tables(found: Verdict) -> list[Table]:
    """For a person."""
    rolls = Table("roll to", "by", "took, s", "senders of both, s", "longest pause of sending, s", "slowest end, s")
    for roll in found.rolls:
        slowest = max(each.ended_s for each in roll.replaced)
        times = (roll.took_s, roll.side_by_side_s, roll.longest_pause_s, slowest)
        rolls.add_row(roll.to, roll.by, *(f"{seconds:.1f}" for seconds in times))
    who = Table("version", "mails sent", "API calls answered", "pages shown")
    for name in sorted({*found.mails_by, *found.answers_by, *found.pages_by}):
        counts = (found.mails_by.get(name, 0), found.answers_by.get(name, 0), found.pages_by.get(name, 0))
        who.add_row(name, *(f"{count:,}" for count in counts))
    verdict = Table(
        "asked", "accepted once", "refused", "doubled", "lost", "dispatches of both", "doubts", "odd", "calls repeated"
    )
    counts = (
        *(found.asked, found.accepted_once, found.refused, len(found.doubled), len(found.lost), found.of_both),
        *(found.doubts, len(found.odd), sum(found.repeated.values())),
    )
    verdict.add_row(*(f"{count:,}" for count in counts))
    elsewhere = Table("on_doubt: elsewhere was answered", "times")
    for answer, times in found.elsewhere.items():
        elsewhere.add_row(answer, f"{times:,}")
    return [rolls, who, *([elsewhere] if found.elsewhere else []), verdict]


def as_json(found: Verdict) -> str:
    return json.dumps(asdict(found) | {"holds": found.holds}, indent=1)
