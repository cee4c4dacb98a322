"""A planner with the lanes that it holds, on a real MongoDB."""

from collections.abc import Callable, Iterable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from mailroom.domain.ids import Lane, ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.shares import NO_SHARES
from mailroom.services.planning import asked_runs
from mailroom.storage.cluster.restore_mark import NEVER_RESTORED
from mailroom.storage.database import Db
from mailroom.storage.holds import NOTHING_HELD
from sender.in_flight import InFlight
from sender.lane_turns import LaneTurns, Turn
from sender.planner import Planner
from tests.support.builders import recipients, stored_schedule
from tests.support.planned import hold, runs_of

LARGE = 2_500  # recipients: three chunks


class Turns(LaneTurns):
    """Notes what planning asks for. `while_planning` is called while it has its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[set[Lane]] = []
        self.while_planning: Callable[[], None] = lambda: None

    def plan_in(self, lanes: Iterable[Lane]) -> Turn:
        self.asked.append(set(lanes))
        turn = super().plan_in(self.asked[-1])
        self.while_planning()
        return turn


class Planning:
    """A planner with the lanes that it holds, and what it said of its work."""

    def __init__(self, db: Db) -> None:
        self.db, self.in_flight, self.turns = db, InFlight(), Turns()
        self.guard: Any = SimpleNamespace(
            is_fresh=True, seen=NEVER_RESTORED, on_hold=NOTHING_HELD, recheck=lambda: self.rechecks.append(True)
        )
        services: Any = SimpleNamespace(
            db=db,
            shares=NO_SHARES,
            adapters={"mailgun": SimpleNamespace(max_recipients=1_000)},
            settings=SimpleNamespace(sending=SimpleNamespace(batch_size=100)),
        )
        self.since: list[datetime] = []
        self.broken: list[Lane] = []
        self.rechecks: list[bool] = []
        self.planner = Planner(
            services, self.in_flight, self.guard, self.turns, planned=self.since.append, broken=self.broken.append
        )

    def hold(self, count: int) -> ScheduleId:
        """A schedule with so many recipients, in a held lane, that has nothing to plan."""
        schedule = stored_schedule(self.db, recipients=recipients(count))
        tokens = {schedule_lane(id_): token for id_, token in hold(self.db, schedule.id).items()}
        self.in_flight.take_lanes(tokens, at=0.0)
        return schedule.id

    def begin(self, count: int) -> ScheduleId:
        """As `hold`, with a run to plan."""
        schedule = self.hold(count)
        asked_runs.run_now(self.db, schedule, owner="tests", key=schedule)
        return schedule

    def steps(self) -> None:
        """Step until nothing is left to plan. What was planned is claimed after each step."""
        while self.planner.step():
            self.claim()

    def claim(self) -> None:
        """Claim in all lanes that planning has asked for: it yields none of them any more."""
        self.turns.claim_in(set().union(*self.turns.asked)).end()

    def placed(self, schedule: ScheduleId) -> int:
        return sum(run.placed for run in runs_of(self.db, schedule))
