"""What came of a run: asked, accepted once, doubled, lost, unknown; and what each fault made.

The marks are the driver's own; the simulator's record says how often each went out. The trails and logs of the product
only tell the stories behind the figures.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.chaos.asking import BEAT
from tests.chaos.draining import Calm
from tests.chaos.members import Played
from tests.chaos.world import World


@dataclass(slots=True)
class Injected:
    """One fault that was done: when it began and ended, and how many it counts for."""

    fault: str
    began: float
    ended: float
    count: int


@dataclass(slots=True)
class Verdict:
    seed: int
    asked: int = 0
    accepted_once: int = 0
    refused: int = 0  # addresses that the provider refuses: not sent, and shown as failed
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    undrained: list[str] = field(default_factory=list)  # lanes with work in which nothing moved in time
    calms: list[Calm] = field(default_factory=list)
    members: list[Played] = field(default_factory=list)  # of clusters: who was killed, frozen, cut off
    resolved: int = 0  # dispatches of the provider that cannot be asked, of which a person has said what became of them
    living_runs: int = 0  # to an audience that changed all the time
    living_changes: int = 0
    by_backup: int = 0  # mails that the second provider took
    requeued: int = 0  # dispatches in hand at three crashes, which a person has sent again
    dispatches: int = 0
    faults: int = 0
    by_fault: dict[str, dict[str, int]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    timeline: list[tuple[str, float, float]] = field(default_factory=list)  # each fault, when it began and ended

    @property
    def holds(self) -> bool:
        return not (self.doubled or self.lost or self.unknown or self.undrained)


def judge(
    world: World, injected: Sequence[Injected], *, seed: int, calms: Sequence[Calm] = (), played: Sequence[Played] = ()
) -> Verdict:
    """Count it. Everything must be quiet."""
    found = Verdict(seed=seed, calms=list(calms), members=list(played))
    found.undrained = [f"{lane}: {waited_s} s" for calm in calms for lane, waited_s in calm.waiting.items()]
    went_out = _went_out(world)
    shown = _shown(world)
    for schedule, marks in world.asked.marks.items():
        if schedule not in world.asked.answered:
            continue
        for mark in marks:
            found.asked += 1
            address = _address(mark)
            _one(found, mark, went_out[mark, address], shown.get(mark, ""), refused=address in world.asked.refused)
    _mails(found, world, went_out)
    _beats(found, world)
    _living(found, world)
    found.dispatches = world.system.db.dispatches.count_documents({"attempt": {"$gt": 0}})
    found.requeued, found.resolved = world.asked.requeued, world.asked.resolved
    found.by_backup = sum(len(kept.recipients) for kept in world.backup.kept)
    found.faults = sum(one.count for one in injected)
    found.by_fault = _by_fault(world, injected)
    found.points = dict(sorted(world.hits().items()))
    found.timeline = [(one.fault, one.began, one.ended) for one in injected]
    return found


def _went_out(world: World) -> Counter[tuple[str, str]]:
    """Every copy by mark and recipient, over both providers' records together."""
    first = Counter((mail["subject"], mail["recipient"]) for mail in world.system.simulator.mails())
    return first + Counter((kept.subject, address) for kept in world.backup.kept for address in kept.recipients)


def _mails(found: Verdict, world: World, went_out: Counter[tuple[str, str]]) -> None:
    """Single mails: each recipient once."""
    ids = {id_: mark for mark, (id_, _) in world.asked.promised.items()}
    states = {
        (ids[doc["run_id"]], doc["address"]): doc["state"]
        for doc in world.system.db.messages.find(
            {"run_id": {"$in": list(ids)}}, {"run_id": 1, "address": 1, "state": 1}
        )
    }
    for mark in ids.values():
        for address in world.asked.mails[mark]:
            found.asked += 1
            times, state = went_out[mark, address], states.get((mark, address), "")
            _one(found, f"{mark} {address}", times, state, refused=address in world.asked.refused)


def _one(found: Verdict, mark: str, times: int, state: str, *, refused: bool) -> None:
    if times > 1:
        found.doubled.append(f"{mark}: {times} times")
    elif times == 1:
        found.accepted_once += 1
    elif refused:
        found.refused += 1
    elif state == "unknown":
        found.unknown.append(mark)
    elif state == "failed":
        found.lost.append(f"{mark}: failed")
    else:
        found.lost.append(f"{mark}: {state or 'not known'}")


def _beats(found: Verdict, world: World) -> None:
    """The recurring schedules: each recipient once for each due instant."""
    mails = [mail for mail in world.system.simulator.mails() if mail["subject"] == BEAT]
    copies = Counter((json.loads(mail["user_variables"])["run"], mail["recipient"]) for mail in mails)
    by_backup = [kept for kept in world.backup.kept if kept.subject == BEAT]
    copies += Counter((kept.ids["mailroom_run"], address) for kept in by_backup for address in kept.recipients)
    found.asked += 5 * world.asked.beats
    found.accepted_once += sum(times == 1 for times in copies.values())
    found.doubled += [f"{run} {address}: {times} times" for (run, address), times in copies.items() if times > 1]
    missing = 5 * world.asked.beats - len(copies)
    found.lost += [f"{missing} mails of the recurring schedule"] if missing > 0 else []
    found.doubled += [f"{-missing} mails of the recurring schedule too many"] if missing < 0 else []


def _living(found: Verdict, world: World) -> None:
    """The schedule to an audience that changed all the time."""
    mails, found.living_runs = world.living.counted()
    found.asked += mails
    found.living_changes = world.living.changes
    wrong = list(world.living.judge())
    found.accepted_once += mails - sum(kind == "doubled" for kind, _ in wrong)
    for kind, where in wrong:
        {"doubled": found.doubled, "lost": found.lost, "unknown": found.unknown}[kind].append(where)


def _address(mark: str) -> str:
    return f"p{mark[1:]}@example.org"


def _shown(world: World) -> dict[str, str]:
    """What the product says of each mark."""
    rows = world.system.db.messages.find({}, {"address": 1, "state": 1})
    return {f"m{doc['address'].partition('@')[0][1:]}": doc["state"] for doc in rows}


_MADE = ("doubts", "second attempts", "settled: accepted", "settled: not accepted", "settled by fence", "late wake-ups")


def _by_fault(world: World, injected: Sequence[Injected]) -> dict[str, dict[str, int]]:
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
    return {fault: {name: counts[name] for name in ("injected", *_MADE)} for fault, counts in found.items()}


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


def tables(found: Verdict) -> list[Table]:
    """For a person."""
    faults = Table("fault", "injected", *_MADE, title=f"seed {found.seed}: what each fault made")
    for fault, counts in sorted(found.by_fault.items()):
        faults.add_row(fault, *(str(counts[name]) for name in ("injected", *_MADE)))
    points = Table("step at which a sender was killed or frozen", "times")
    for name, times in found.points.items():
        points.add_row(name, str(times))
    verdict = Table(
        *("asked", "accepted once", "refused", "doubled", "lost", "unknown", "undrained"),
        *("sent again", "resolved", "by the second", "dispatches", "faults"),
    )
    wrong = (len(found.doubled), len(found.lost), len(found.unknown), len(found.undrained))
    shown = (found.asked, found.accepted_once, found.refused, *wrong)
    verdict.add_row(
        *(
            f"{count:,}"
            for count in (*shown, found.requeued, found.resolved, found.by_backup, found.dispatches, found.faults)
        )
    )
    return [faults, points, *([_members(found)] if found.members else []), _calms(found), verdict]


def _members(found: Verdict) -> Table:
    table = Table("member", "times", "calls in flight, at least", "longest repair, s", title="clusters")
    for name in sorted({one.card.name for one in found.members}):
        some = [one for one in found.members if one.card.name == name]
        repair_s = max(one.repaired_s for one in some)
        table.add_row(name, str(len(some)), str(min(one.in_flight for one in some)), f"{repair_s}")
    return table


def _calms(found: Verdict) -> Table:
    table = Table("calms", "lanes with work, in all", "longest wait, s", "behind others", "undrained")
    longest_s = max((calm.longest_s for calm in found.calms), default=0.0)
    lanes, behind = sum(calm.lanes for calm in found.calms), sum(calm.behind for calm in found.calms)
    table.add_row(str(len(found.calms)), str(lanes), f"{longest_s}", str(behind), str(len(found.undrained)))
    return table


def as_json(found: Verdict) -> str:
    return json.dumps(asdict(found) | {"holds": found.holds}, indent=1)
