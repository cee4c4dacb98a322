"""Plan due instants as runs, and expand runs into messages and dispatches: by the holder of the lanes, in bulk.

Every transaction here touches the lanes' documents with their tokens, so a sender that has lost a lane stores nothing.
A crash between two transactions loses nothing: the next holder resumes at `planned_through`.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.domain import misfire
from mailroom.domain.beginnings import Spread, next_look
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import RunId, ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.misfire import Decisions, Replay
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Schedule
from mailroom.domain.shares import NO_SHARES, Shares
from mailroom.services.planning.chunks import Cut, claimable_since_of
from mailroom.services.planning.composing import ChunkComposer
from mailroom.services.planning.decisions import runs_for
from mailroom.services.planning.pins import pinned
from mailroom.services.planning.progress import ChangedSinceRead, Progress, all_or_each
from mailroom.services.planning.spreads import NOWHERE, spreads_of
from mailroom.services.planning.turns import Announce, TakeTurn, in_all_lanes
from mailroom.storage import holds, lanes
from mailroom.storage.cluster import restore_mark
from mailroom.storage.cluster.restore_mark import NEVER_RESTORED, Healthy
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.guard import LaneGuard
from mailroom.storage.messages import document as messages
from mailroom.storage.messages import unreached
from mailroom.storage.schedules import contents, due_schedules, run_planning, runs
from mailroom.watching import planning as metrics

log = structlog.get_logger()
SCHEDULES_A_STEP: Final = 500
_DECIDE_S: Final = 1.0  # for one step; schedules not reached in this time are decided in the next step


@dataclass(frozen=True, slots=True)
class _Moving:
    """A schedule that moves on, with the decisions about its due instants."""

    schedule: Schedule
    decisions: Decisions


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
    db: Db, held: Mapping[ScheduleId, Token], *, mark: int, now: datetime, take_turn: TakeTurn = in_all_lanes
) -> Progress:
    """Decide the due instants of held schedules, a bounded number of them; none while all sending is stopped.

    `take_turn`: gives the lanes in which a batch may be worked on; schedules in other lanes wait for the next step.
    Raises StoreRestored if MongoDB's mark is below `mark`: it is an older copy. Raises StaleToken, Unavailable."""
    due = due_schedules.due_among(db, list(held), now=now, limit=SCHEDULES_A_STEP)
    if not due or holds.get(db, EVERYTHING).held:
        return Progress()  # when sending starts again, the misfire rule decides about the instants that were missed
    with take_turn([schedule.id for schedule in due]) as mine:
        in_turn = [schedule for schedule in due if schedule.id in mine]
        return _decide_and_store(db, in_turn, held, mark=mark, now=now) + Progress(left=True)


def until_next_due(db: Db, held: Collection[ScheduleId], *, now: datetime, most: timedelta) -> timedelta:
    """How long it is until one of the held schedules is due, `most` at most. Raises Unavailable."""
    at = due_schedules.next_due_among(db, list(held), after=now, until=now + most)
    return most if at is None else at - now


def _decide_and_store(
    db: Db, due: Sequence[Schedule], held: Mapping[ScheduleId, Token], *, mark: int, now: datetime
) -> Progress:
    """Decide about these due schedules, and store what was decided."""
    if not due:
        return Progress()
    histories = contents.histories(db, [schedule.id for schedule in due])
    decided = _decide(due, spreads_of(db, due, histories), replay=restore_mark.replay(db), now=now)
    due_schedules.look_later(db, decided.later)

    def move_on(batch: Sequence[_Moving], guard: LaneGuard) -> None:
        if not due_schedules.move_on(db, [(m.schedule, m.decisions) for m in batch], now=now, guard=guard):
            raise ChangedSinceRead
        due_runs = [run for m in batch for run in runs_for(m.schedule, m.decisions, histories[m.schedule.id], now)]
        runs.add_many(db, pinned(db, due_runs, session=guard.session), session=guard.session)

    def set_aside(batch: Sequence[_Aside], guard: LaneGuard) -> None:
        if not all(due_schedules.set_aside(db, a.schedule, a.why, now=now, guard=guard) for a in batch):
            raise ChangedSinceRead

    def store_moving(batch: Sequence[_Moving]) -> None:
        _under_their_lanes(db, [m.schedule.id for m in batch], held, mark, lambda guard: move_on(batch, guard))
        metrics.decided(
            runs=sum(len(m.decisions.due) for m in batch),
            skipped=sum(skipped.instants for m in batch for skipped in m.decisions.skipped),
        )

    def store_aside(batch: Sequence[_Aside]) -> None:
        _under_their_lanes(db, [a.schedule.id for a in batch], held, mark, lambda guard: set_aside(batch, guard))
        for a in batch:
            log.error("schedule_set_aside", schedule_id=a.schedule.id, reason=a.why)

    moved = all_or_each([(m.schedule.id, m) for m in decided.moving], store_moving)
    aside = all_or_each([(a.schedule.id, a) for a in decided.aside], store_aside)
    return moved + aside + Progress(broken=frozenset(decided.broken))


def _decide(
    due: Sequence[Schedule], spreads: Mapping[ScheduleId, Spread], *, replay: Replay | None, now: datetime
) -> _DueDecisions:
    """Decide about schedules for at most _DECIDE_S; the others are decided in the next step."""
    decided, began = _DueDecisions(), time.monotonic()
    for schedule in due:
        try:
            spread = spreads.get(schedule.id, NOWHERE)
            if decisions := misfire.decide(schedule, now, replay=replay, spread=spread):
                decided.moving.append(_Moving(schedule, decisions))
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


def _under_their_lanes(
    db: Db, ids: Sequence[ScheduleId], held: Mapping[ScheduleId, Token], mark: int, write: Callable[[LaneGuard], None]
) -> None:
    """Write in one transaction under the guard of these schedules' lanes, if MongoDB has reached the mark."""

    def work(session: Session) -> None:
        restore_mark.require_mark(db, mark, session)
        with lanes.under(db, {schedule_lane(id_): held[id_] for id_ in ids}, session) as guard:
            write(guard)

    in_transaction(db, work)


def expand(
    db: Db,
    held: Mapping[ScheduleId, Token],
    *,
    batch_size: int,
    now: datetime,
    seen: Healthy = NEVER_RESTORED,
    shares: Shares = NO_SHARES,
    composer: ChunkComposer | None = None,
    take_turn: TakeTurn = in_all_lanes,
    last: Collection[RunId] = (),
    announce: Announce = lambda _: None,
) -> Progress:
    """Write the next messages of the held schedules' runs, about a thousand a transaction, and their dispatches, each
    of up to `batch_size` messages. Domains with shares of their own get dispatches of their own.

    `seen`: MongoDB as the caller saw it last. If it was ever restored from an older copy, the calls made since that
    copy are looked up.
    `composer`: one that is used again, so that what the chunks of a run have in common is read once.
    `take_turn`: as for `plan_due`. `last`: runs that come after all others, such as those on hold. `announce`: told of
    what may go now, after each turn.

    A step takes a batch of small runs and a chunk of the large run that is due longest of those that get a turn, so
    that neither waits for the other.
    Raises StoreRestored if MongoDB was restored since it was seen; StaleToken, Unavailable.
    """
    composer, cut = composer or ChunkComposer(db), Cut(batch_size, shares)
    claimable_since: dict[RunId, datetime] = {}  # of the turn under way

    def store(batch: Sequence[Run]) -> None:
        chunks = composer.next_chunks(batch, cut, remembers=seen.remembers)

        def work(session: Session) -> None:
            restore_mark.require_unrestored(db, seen, session)
            tokens = {schedule_lane(c.run.schedule_id): held[c.run.schedule_id] for c in chunks}
            steps = [
                run_planning.Step(c.run, c.through, c.members, c.numbers, c.is_last, counts=c.counts) for c in chunks
            ]
            with lanes.under(db, tokens, session) as guard:
                if not run_planning.advance(db, steps, now=now, guard=guard):
                    raise ChangedSinceRead
                if not all(unreached.take(db, c.missed, c.run.id, session=session) for c in chunks if c.missed):
                    raise ChangedSinceRead
                messages.add_many(db, [m for c in chunks for m in c.messages], session=session)
                dispatches.add_many(db, [d for c in chunks for d in c.dispatches], now=now, session=session)

        in_transaction(db, work)
        for state, count in Counter(m.state for c in chunks for m in c.messages).items():
            metrics.planned(state, count)
        claimable_since.update(claimable_since_of(chunks, now))

    planning_runs = run_planning.in_planning(db, list(held), limit=SCHEDULES_A_STEP)
    progress = Progress()
    planning_runs.sort(key=lambda run: run.id in last)
    if small := _small(planning_runs):
        try:
            with take_turn([run.schedule_id for run in small]) as mine:
                progress += all_or_each([(run.schedule_id, run) for run in small if run.schedule_id in mine], store)
        finally:  # what stands may go, whatever became of the others
            announce(claimable_since)
        claimable_since = {}
    for run in (run for run in planning_runs if run.recipients > CHUNK_RECIPIENTS):
        with take_turn([run.schedule_id]) as mine:
            if mine:
                progress += all_or_each([(run.schedule_id, run)], store)
        if mine:
            announce(claimable_since)
            break
    return progress + Progress(left=bool(planning_runs))


def _small(planning_runs: Sequence[Run]) -> list[Run]:
    """The first small runs, a chunk of them. `planning_runs` has one run for each schedule."""
    small: list[Run] = []
    total = 0
    for run in planning_runs:
        if total + run.recipients <= CHUNK_RECIPIENTS:
            small.append(run)
            total += run.recipients
    return small
