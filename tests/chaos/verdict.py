"""What came of a run: asked, accepted once, doubled, lost, unknown; and what the stories found.

The marks are the driver's own; the providers' records say how often each went out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos import witness
from tests.chaos.asking import BEAT
from tests.chaos.draining import Calm
from tests.chaos.made import Injected, by_fault
from tests.chaos.members import Played
from tests.chaos.stories import Finding, Told, Wrong
from tests.chaos.witness import Copy
from tests.chaos.world import World


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
    wrong: list[str] = field(default_factory=list)  # of the stories: at another time, or counted otherwise
    accounted: list[str] = field(default_factory=list)  # unknown, as it must be: of runs that began in a lost time
    calms: list[Calm] = field(default_factory=list)
    members: list[Played] = field(default_factory=list)  # of clusters: who was killed, frozen, cut off
    resolved: int = 0  # dispatches of the provider that cannot be asked, of which a person has said what became of them
    stories: dict[str, Told] = field(default_factory=dict)
    by_backup: int = 0  # mails that the second provider took
    requeued: int = 0  # dispatches in hand at three crashes, which a person has sent again
    dispatches: int = 0
    faults: int = 0
    by_fault: dict[str, dict[str, int]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    timeline: list[tuple[str, float, float]] = field(default_factory=list)  # each fault, when it began and ended

    @property
    def holds(self) -> bool:
        return not self.faulty

    @property
    def faulty(self) -> dict[str, list[str]]:
        """What is not as it must be, by its kind."""
        found = {kind: getattr(self, kind) for kind in ("doubled", "lost", "unknown", "undrained", "wrong")}
        return {kind: where for kind, where in found.items() if where}


def judge(
    world: World, injected: Sequence[Injected], *, seed: int, calms: Sequence[Calm] = (), played: Sequence[Played] = ()
) -> Verdict:
    """Count it. Everything must be quiet."""
    found = Verdict(seed=seed, calms=list(calms), members=list(played))
    found.undrained = [f"{lane}: {waited_s} s" for calm in calms for lane, waited_s in calm.waiting.items()]
    every = witness.copies(world)
    went_out = Counter((copy.subject, copy.address) for copy in every)
    shown = _shown(world)
    for schedule, marks in world.asked.marks.items():
        if schedule not in world.asked.answered:
            continue
        for mark in marks:
            found.asked += 1
            address = _address(mark)
            _one(found, mark, went_out[mark, address], shown.get(address, ""), refused=address in world.asked.refused)
    _mails(found, world, went_out)
    _beats(found, world, every)
    for story in world.stories:
        told = found.stories[story.name_shown] = story.told(every)
        add_story(found, told, list(story.findings(every)))
    found.dispatches = world.system.db.dispatches.count_documents({"attempt": {"$gt": 0}})
    found.requeued, found.resolved = world.asked.requeued, world.asked.resolved
    found.by_backup = sum(len(kept.recipients) for kept in world.backup.kept)
    found.faults = sum(one.count for one in injected)
    found.by_fault = by_fault(world, injected)
    found.points = dict(sorted(world.hits().items()))
    found.timeline = [(one.fault, one.began, one.ended) for one in injected]
    return found


def add_story(found: Verdict, told: Told, findings: Sequence[Finding]) -> None:
    """A story counts by the mails that went out, since the account of who should get one is its own."""
    found.asked += told.mails
    found.accepted_once += told.mails - sum(one.wrong is Wrong.DOUBLED for one in findings)
    for one in findings:
        getattr(found, one.wrong).append(one.where)


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


def _beats(found: Verdict, world: World, every: Sequence[Copy]) -> None:
    """The recurring schedules: each recipient once for each due instant."""
    copies = witness.times_of(copy for copy in every if copy.subject == BEAT)
    found.asked += 5 * world.asked.beats
    found.accepted_once += sum(times == 1 for times in copies.values())
    found.doubled += [f"{run} {address}: {times} times" for (run, address), times in copies.items() if times > 1]
    missing = 5 * world.asked.beats - len(copies)
    found.lost += [f"{missing} mails of the recurring schedule"] if missing > 0 else []
    found.doubled += [f"{-missing} mails of the recurring schedule too many"] if missing < 0 else []


def _address(mark: str) -> str:
    return f"p{mark[1:]}@example.org"


def _shown(world: World) -> dict[str, str]:
    """What the product says of each recipient of the campaigns."""
    rows = world.system.db.messages.find({"address": {"$regex": "^p"}}, {"address": 1, "state": 1})
    return {doc["address"]: doc["state"] for doc in rows}
