"""A sender's steps, one at a time: claim, cross the fence, record; for tests of what comes between."""

from collections import Counter
from dataclasses import dataclass

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.dispatches.model import Claimant, Claimed
from mailroom.domain.dispatches.outcomes import Accepted, CallResult, Outcome, Refusal, Refused
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.ids import Lane, RunId, ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.schedules import Schedule
from mailroom.services.common import hold_mirror
from mailroom.services.dispatching import claims
from mailroom.services.dispatching import fences as dispatching_fences
from mailroom.services.dispatching.claims import Room, Waiting
from mailroom.services.dispatching.fences import Crossing
from mailroom.services.dispatching.outcomes import record
from mailroom.services.planning import asked_runs
from mailroom.services.planning import plan as planning_plan
from mailroom.services.schedules.pause import Brakes
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from mailroom.storage.holds import NOTHING_HELD, OnHold
from tests.support.builders import recipients, stored_schedule

TAKEN = Accepted("<id@mg.example.com>")
HELD = Refused(Refusal.HELD, "it was stopped or paused before the call")
_ROOM = Room(10_000, 10**6, 10**6)


@dataclass
class Line:
    """One sender of one database, that holds what it is told to."""

    db: Db
    fences: Fences
    holds: Holds
    name: str = "sender-1"

    def __post_init__(self) -> None:
        self.held: dict[Lane, Token] = {}

    @property
    def brakes(self) -> Brakes:
        return Brakes(self.holds, self.fences)

    def take(self, *taken: Lane, token: int = 1) -> None:
        tokens = {lane: Token(token) for lane in taken}
        lanes.raise_tokens(self.db, tokens, self.name, now=server_now(self.db))
        self.fences.enter(tokens)
        self.held |= tokens

    def take_of_all_tests(self, *taken: Lane) -> None:
        """Lanes whose names other tests use too: Redis, which they share, may have seen tokens of these."""
        self.take(*taken, token=1 + max(self.fences.seen_token(lane) or 0 for lane in taken))

    def plan(self, *schedules: ScheduleId, batch: int = 10) -> None:
        held = {id_: self.held[schedule_lane(id_)] for id_ in schedules}
        while planning_plan.expand(self.db, held, batch_size=batch, now=server_now(self.db)).moved:
            pass

    def waiting(self, on_hold: OnHold = NOTHING_HELD) -> Waiting:
        return claims.claimable(self.db, self.held, now=server_now(self.db), room=_ROOM, on_hold=on_hold)

    def claim(self, waiting: Waiting | None = None) -> list[Claimed]:
        waiting, redis_identity = self.waiting() if waiting is None else waiting, self.fences.redis_identity()
        now = server_now(self.db)
        if not len(waiting):
            return []
        claimant = Claimant(self.name, redis_identity, "mailgun", "mg.example.com")
        return claims.claim(self.db, waiting, self.held, claimant, now=now)

    def cross(self, claimed: list[Claimed]) -> Crossing:
        """What was held goes back, as a sender hands it back."""
        crossing = dispatching_fences.cross_fences(self.fences, claimed)
        self.record(crossing.held, HELD)
        hold_mirror.agree_on_runs(self.db, self.holds, {one.run_id for one in crossing.held})
        return crossing

    def record(self, claimed: list[Claimed], outcome: Outcome) -> None:
        results = [CallResult(one, outcome) for one in claimed]
        record(self.db, self.fences, results, delays=Delays([]), now=server_now(self.db))


def a_run(
    line: Line, count: int, *, batch: int = 10, key: str = "k", of: Schedule | None = None
) -> tuple[RunId, ScheduleId]:
    """A planned run to so many people, its lane held by the line."""
    schedule = of or stored_schedule(line.db, recipients=recipients(count))
    run, _ = asked_runs.run_now(line.db, schedule.id, owner="tests", key=key)
    line.take(schedule_lane(schedule.id))
    line.plan(schedule.id, batch=batch)
    return run.id, schedule.id


def states_of_dispatches(db: Db, run_id: RunId) -> Counter[str]:
    """How many dispatches of this run are in which state."""
    return Counter(doc["state"] for doc in db.dispatches.find({"run_id": run_id}))
