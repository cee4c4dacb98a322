"""Plan due instants as runs, small ones with their mails: by the holder of the lanes, in bulk.

Every transaction here touches the lanes' documents with their tokens, so a sender that has lost a lane stores nothing.
A crash between two transactions loses nothing: the mails of a run that has none yet are written by `expand`.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from mailroom.domain import misfire
from mailroom.domain.beginnings import Spread, next_look
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import RunId, ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.misfire import Decisions, Replay
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Revision, Schedule
from mailroom.services.planning import small_runs
from mailroom.services.planning.chunk_writes import claimable_since_of, count_planned
from mailroom.services.planning.chunks import Chunk, Cut
from mailroom.services.planning.decisions import runs_for
from mailroom.services.planning.pins import pinned
from mailroom.services.planning.progress import SCHEDULES_A_STEP, ChangedSinceRead, Progress, all_or_each
from mailroom.services.planning.spreads import NOWHERE, spreads_of
from mailroom.services.planning.turns import Announce, TakeTurn, in_all_lanes
from mailroom.storage import holds, lanes
from mailroom.storage.cluster import restore_mark
from mailroom.storage.cluster.restore_mark import NEVER_RESTORED, Healthy
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.guard import LaneGuard
from mailroom.storage.schedules import contents, due_schedules, runs
from mailroom.watching import planning as metrics

log = structlog.get_logger()
R = TypeVar("R")
_DECIDE_S: Final = 1.0  # for one step; schedules not reached in this time are decided in the next step


@dataclass(frozen=True, slots=True)
class _Moving:
    """A schedule that moves on, with the decisions about its due instants, and the runs and records of these."""

    schedule: Schedule
    decisions: Decisions
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class _Aside:
    """A schedule whose rule cannot be computed, and the reason."""

    schedule: Schedule
    why: str


@dataclass(frozen=True, slots=True)
class _DueDecisions:
    """The decisions of a step about due schedules; `broken`: schedules that failed by a fault of their own."""

    moving: list[_Moving] = field(default_factory=list)
    later: list[tuple[Schedule, datetime]] = field(default_factory=list)  # their contacts' time has not come yet
    aside: list[_Aside] = field(default_factory=list)
    broken: set[ScheduleId] = field(default_factory=set)


def plan_due(
    db: Db,
    held: Mapping[ScheduleId, Token],
    *,
    now: datetime,
    seen: Healthy = NEVER_RESTORED,
    cut: Cut | None = None,
    take_turn: TakeTurn = in_all_lanes,
    announce: Announce = lambda _: None,
) -> Progress:
    """Decide the due instants of held schedules, a bounded number of them; none while all sending is stopped.

    `cut`: how the mails of small runs are cut, that are written with their decision. None: no mail is.
    `take_turn`: gives the lanes in which a batch may be worked on; schedules in other lanes wait for the next step.
    `seen`, `announce`: as for `expand`.
    Raises StoreRestored if MongoDB was restored since it was seen; StaleToken, Unavailable."""
    due = due_schedules.due_among(db, list(held), now=now, limit=SCHEDULES_A_STEP)
    if not due or holds.get(db, EVERYTHING).held:
        return Progress()  # when sending starts again, the misfire rule decides about the instants that were missed
    claimable_since: dict[RunId, datetime] = {}
    try:
        with take_turn([schedule.id for schedule in due]) as mine:
            in_turn = [schedule for schedule in due if schedule.id in mine]
            step = _Step(db, held, seen, now, claimable_since)
            return step.decide_and_store(in_turn, cut) + Progress(left=True)
    finally:  # what stands may go, whatever became of the others
        announce(claimable_since)


def until_next_due(db: Db, held: Collection[ScheduleId], *, now: datetime, most: timedelta) -> timedelta:
    """How long it is until one of the held schedules is due, `most` at most. Raises Unavailable."""
    at = due_schedules.next_due_among(db, list(held), after=now, until=now + most)
    return most if at is None else at - now


@dataclass(frozen=True, slots=True)
class _Step:
    """Decides about due schedules, and stores what was decided. `claimable_since`: filled with what may go already."""

    db: Db
    held: Mapping[ScheduleId, Token]
    seen: Healthy
    now: datetime
    claimable_since: dict[RunId, datetime]

    def decide_and_store(self, due: Sequence[Schedule], cut: Cut | None) -> Progress:
        if not due:
            return Progress()
        histories = contents.histories(self.db, [schedule.id for schedule in due])
        replay = restore_mark.replay(self.db)
        decided = _decide(due, histories, spreads_of(self.db, due, histories), replay=replay, now=self.now)
        due_schedules.look_later(self.db, decided.later)
        of_moving = [(m.schedule.id, m) for m in decided.moving]
        with_mails = cut if not (replay or self.seen.remembers) else None  # else calls are looked up that it has lost
        moved = all_or_each(of_moving, lambda batch: self._move_on(batch, with_mails))
        if with_mails and moved.broken:  # the fault may be one of a mail: the decision stands without it
            of_broken = [(id_, one) for id_, one in of_moving if id_ in moved.broken]
            moved = Progress(moved.moved) + all_or_each(of_broken, lambda batch: self._move_on(batch, None))
        aside = all_or_each([(a.schedule.id, a) for a in decided.aside], self._set_aside)
        return moved + aside + Progress(broken=frozenset(decided.broken))

    def _move_on(self, batch: Sequence[_Moving], cut: Cut | None) -> None:
        def write(guard: LaneGuard) -> list[Chunk]:
            if not due_schedules.move_on(
                self.db, [(m.schedule, m.decisions) for m in batch], now=self.now, guard=guard
            ):
                raise ChangedSinceRead
            due_runs = pinned(self.db, [run for m in batch for run in m.runs], session=guard.session)
            if cut:
                return small_runs.add(self.db, due_runs, cut, now=self.now, session=guard.session)
            runs.add_many(self.db, due_runs, session=guard.session)
            return []

        chunks = self._under_their_lanes([m.schedule.id for m in batch], write)
        metrics.decided(
            runs=sum(len(m.decisions.due) for m in batch),
            skipped=sum(skipped.instants for m in batch for skipped in m.decisions.skipped),
        )
        count_planned(chunks)
        self.claimable_since.update(claimable_since_of(chunks, self.now))

    def _set_aside(self, batch: Sequence[_Aside]) -> None:
        def write(guard: LaneGuard) -> None:
            if not all(due_schedules.set_aside(self.db, a.schedule, a.why, now=self.now, guard=guard) for a in batch):
                raise ChangedSinceRead

        self._under_their_lanes([a.schedule.id for a in batch], write)
        for a in batch:
            log.error("schedule_set_aside", schedule_id=a.schedule.id, reason=a.why)

    def _under_their_lanes(self, ids: Sequence[ScheduleId], write: Callable[[LaneGuard], R]) -> R:
        """Write in one transaction under the guard of these schedules' lanes, if MongoDB was not restored."""

        def work(session: Session) -> R:
            restore_mark.require_unrestored(self.db, self.seen, session)
            with lanes.under(self.db, {schedule_lane(id_): self.held[id_] for id_ in ids}, session) as guard:
                return write(guard)

        return in_transaction(self.db, work)


def _decide(
    due: Sequence[Schedule],
    histories: Mapping[ScheduleId, Sequence[Revision]],
    spreads: Mapping[ScheduleId, Spread],
    *,
    replay: Replay | None,
    now: datetime,
) -> _DueDecisions:
    """Decide about schedules for at most _DECIDE_S; the others are decided in the next step."""
    decided, began = _DueDecisions(), time.monotonic()
    for schedule in due:
        try:
            spread = spreads.get(schedule.id, NOWHERE)
            if decisions := misfire.decide(schedule, now, replay=replay, spread=spread):
                runs_ = list(runs_for(schedule, decisions, histories[schedule.id], now))
                decided.moving.append(_Moving(schedule, decisions, runs_))
            elif look := next_look(schedule, now):
                decided.later.append((schedule, look))
        except RuleRefused as error:
            decided.aside.append(_Aside(schedule, str(error)))
        except Exception:  # a schedule's fault, such as a zone that tzdata has dropped, stops no other schedule
            log.exception("schedule_cannot_be_planned", schedule_id=schedule.id)
            decided.broken.add(schedule.id)
        if time.monotonic() - began > _DECIDE_S:
            break
    return decided
